"""What a Flask tutorial teaches about cookies and sessions, and the same in Django.

The facts are those of Flask 3.1 and Flask-Session 0.8. tests/demo/test_from_flask.py runs both
beside Django.
"""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from cookieproj.engines.constants import CACHE, DB, FILE, MONGODB

from .recipes import RECIPES
from .view_source import highlighted


@dataclass(frozen=True)
class Row:
    """A thing in Flask, the same in Django, the difference, and where this site shows it.

    ``route`` is the recipe that runs it, and ``engine`` the one to switch to if the row is about a
    store. A row with neither has no link.
    """

    flask: str
    django: str
    difference: Promise
    route: str = ""
    engine: str = ""

    @property
    def url(self) -> str:
        if self.engine:
            old = CACHE if self.engine == DB else DB
            return f"{reverse('demo:switch')}?{urlencode({'old': old, 'new': self.engine})}"
        return RECIPES[self.route].page_url if self.route else ""

    @property
    def link_text(self) -> str:
        if self.engine:
            return gettext("Switch to %(engine)s") % {"engine": self.engine}
        if self.route:
            return gettext("Recipe: %(title)s") % {"title": RECIPES[self.route].title}
        return ""

    @property
    def flask_html(self) -> str:
        return highlighted(self.flask)

    @property
    def django_html(self) -> str:
        return highlighted(self.django)


ROWS = (
    Row(
        'response = make_response("Hello")\nresponse.set_cookie("color", "blue", max_age=60)',
        'response = HttpResponse("Hello")\nresponse.set_cookie("color", "blue", max_age=60)',
        _(
            "The method and its arguments have the same names. Flask also has partitioned; Django "
            "up to 6.1 does not."
        ),
        "cookies/max-age",
    ),
    Row(
        'request.cookies.get("color")',
        'request.COOKIES.get("color")',
        _("Only the name differs."),
        "reading/with-a-default",
    ),
    Row(
        'response.delete_cookie("color")',
        'response.delete_cookie("color")',
        _(
            "Path and domain must be those of the cookie. Flask also has secure, httponly and "
            'partitioned. Django sets Secure itself with samesite="None", and for names that '
            "begin with __Secure- or __Host-."
        ),
        "reading/delete",
    ),
    Row(
        'URLSafeTimedSerializer(key).dumps("blue")\n…\nserializer.loads(text, max_age=60)',
        'response.set_signed_cookie("color", "blue")\n…\n'
        'request.get_signed_cookie("color", max_age=60)',
        _("Django signs cookies itself, without itsdangerous. The signature covers the name too."),
        "signed/sign",
    ),
    Row(
        'session["color"] = "blue"',
        'request.session["color"] = "blue"',
        _(
            "Flask's session is the cookie, which its owner can read. Django's is on the server, "
            "unless SESSION_ENGINE is signed_cookies."
        ),
        "sessions/set-item",
    ),
    Row(
        '"color" in session\nsession.get("color", "none")',
        '"color" in request.session\nrequest.session.get("color", "none")',
        _("Only the name differs."),
        "sessions/contains",
    ),
    Row(
        'session.pop("color", None)',
        'request.session.pop("color", None)',
        _("Nothing differs."),
        "sessions/pop",
    ),
    Row(
        'session["cart"].append("cookie")\nsession.modified = True',
        'request.session["cart"].append("cookie")\nrequest.session.modified = True',
        _("Nothing differs: neither notices that a list in the session grows."),
        "sessions/nested",
    ),
    Row(
        'flash("Saved")\n…\nget_flashed_messages()',
        'messages.success(request, "Saved")\n…\nmessages.get_messages(request)',
        _(
            "Flask keeps the messages in the session. django.contrib.messages keeps them in a "
            "cookie, and in the session if they are too long for it."
        ),
        "messages/success",
    ),
    Row(
        "session.clear()",
        "request.session.flush()",
        _(
            "Flask deletes the cookie of an empty session. Django's clear() keeps the key and the "
            "cookie; flush() deletes both."
        ),
        "lifecycle/flush",
    ),
    Row(
        "session.permanent = True\nPERMANENT_SESSION_LIFETIME = timedelta(days=31)",
        "SESSION_COOKIE_AGE = 31 * 24 * 60 * 60\nSESSION_SAVE_EVERY_REQUEST = True",
        _(
            "Flask's 31 days begin again with every request. Django's begin again with every "
            "change, unless every request saves the session."
        ),
        "expiry/every-setting",
    ),
    Row(
        "session.permanent = False",
        "SESSION_EXPIRE_AT_BROWSER_CLOSE = True",
        _(
            "Flask's default is a cookie that ends when the browser closes. Django's lasts two "
            "weeks."
        ),
        "expiry/at-browser-close",
    ),
    Row(
        "SESSION_REFRESH_EACH_REQUEST = True",
        "SESSION_SAVE_EVERY_REQUEST = True",
        _(
            "Flask's is on by default and concerns permanent sessions. Django's is off by default "
            "and concerns all."
        ),
        "expiry/every-setting",
    ),
    Row(
        "@app.before_request\ndef limit():\n    session.permanent = True\n"
        "    app.permanent_session_lifetime = timedelta(minutes=5)",
        "SESSION_COOKIE_AGE = 5 * 60\nSESSION_SAVE_EVERY_REQUEST = True",
        _("Django needs no function for a timeout. For one session there is set_expiry(300)."),
        "expiry/in-seconds",
    ),
    Row(
        'SECRET_KEY = "…"\nSECRET_KEY_FALLBACKS = ["the old one"]',
        'SECRET_KEY = "…"\nSECRET_KEY_FALLBACKS = ["the old one"]',
        _("Nothing differs, since Flask 3.1."),
        "signed/change-the-key",
    ),
    Row(
        'SESSION_COOKIE_NAME = "session"\nSESSION_COOKIE_HTTPONLY = True\n'
        "SESSION_COOKIE_SECURE = False\nSESSION_COOKIE_SAMESITE = None",
        'SESSION_COOKIE_NAME = "sessionid"\nSESSION_COOKIE_HTTPONLY = True\n'
        'SESSION_COOKIE_SECURE = False\nSESSION_COOKIE_SAMESITE = "Lax"',
        _("The names are the same. Of these defaults, the name and SameSite differ."),
        "expiry/every-setting",
    ),
    Row(
        'SESSION_TYPE = "redis"\nSESSION_REDIS = Redis.from_url("redis://localhost")',
        'SESSION_ENGINE = "django.contrib.sessions.backends.cache"\n'
        'CACHES = {"default": {\n'
        '    "BACKEND": "django.core.cache.backends.redis.RedisCache",\n'
        '    "LOCATION": "redis://localhost",\n}}',
        _(
            "Django's engine uses a cache, whichever it is. On this site: SESSION_PROFILE=cache "
            "CACHE_URL=redis://localhost."
        ),
        engine=CACHE,
    ),
    Row(
        'SESSION_TYPE = "memcached"',
        'SESSION_ENGINE = "django.contrib.sessions.backends.cache"\n'
        'CACHES = {"default": {\n'
        '    "BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",\n'
        '    "LOCATION": "localhost:11211",\n}}',
        _("The same engine with another cache. A restart of memcached ends all sessions in both."),
        engine=CACHE,
    ),
    Row(
        'SESSION_TYPE = "filesystem"',
        'SESSION_ENGINE = "django.contrib.sessions.backends.file"',
        _(
            "Flask-Session keeps 500 files by default, and deletes some when there are more. "
            "Django keeps all until clearsessions."
        ),
        engine=FILE,
    ),
    Row(
        'SESSION_TYPE = "cachelib"\nSESSION_CACHELIB = FileSystemCache("sessions")',
        'SESSION_ENGINE = "django.contrib.sessions.backends.cache"\n'
        'CACHES = {"default": {\n'
        '    "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",\n'
        '    "LOCATION": "sessions",\n}}',
        _("Django has caches of its own instead of cachelib."),
    ),
    Row(
        'SESSION_TYPE = "mongodb"',
        'SESSION_ENGINE = "cookieproj.engines.mongodb"',
        _("Django itself has no such engine. This project has one."),
        engine=MONGODB,
    ),
    Row(
        'SESSION_TYPE = "sqlalchemy"\nSESSION_SQLALCHEMY = db',
        'SESSION_ENGINE = "django.contrib.sessions.backends.db"',
        _("This is Django's default: a table in the site's own database."),
        engine=DB,
    ),
    Row(
        "SESSION_USE_SIGNER = True",
        "SESSION_ID_SIGNED = True",
        _(
            "Flask-Session signs the key in the cookie; it is off by default and deprecated. "
            "Django has no such setting; the engines of this project have."
        ),
    ),
    Row(
        'SESSION_KEY_PREFIX = "session:"',
        'CACHES = {"default": {"KEY_PREFIX": "mysite", …}}',
        _("Django's engine has a prefix of its own, to which the cache adds KEY_PREFIX."),
    ),
    Row(
        'SESSION_SERIALIZATION_FORMAT = "msgpack"',
        'SESSION_SERIALIZER = "django.contrib.sessions.serializers.JSONSerializer"',
        _("Both are the default. Neither can run code when it is read, as pickle can."),
        "expiry/every-setting",
    ),
    Row(
        "app.session_interface.regenerate(session)",
        "request.session.cycle_key()",
        _("Flask-Session leaves it to you at sign-in. Django's login() calls it."),
        "lifecycle/cycle-key",
    ),
    Row(
        "flask session_cleanup",
        "python manage.py clearsessions",
        _("Both delete expired sessions from a database. Run it regularly."),
        "expiry/clear-expired",
    ),
    Row(
        'def login_required(view):\n    …\n    if request.cookies.get("is_login"):',
        "@login_required\ndef account(request): …",
        _(
            "Anybody can type is_login=1. Django's decorator asks the session; login_auth of this "
            "site reads a signed cookie."
        ),
        "auth/who-lets-you-in",
    ),
    Row(
        "url_for('kitchen', sid=session.sid)",
        "signing.dumps(request.session.session_key)",
        _(
            "Neither has sessions without cookies. Both can put the key into the address, where "
            "many see it."
        ),
        "in-path/begin",
    ),
)


@require_safe
def from_flask(request: HttpRequest) -> HttpResponse:
    return render(request, "demo/from_flask.html", {"rows": ROWS})
