"""The settings that all profiles share."""

from pathlib import Path

import django
from django.core.exceptions import ImproperlyConfigured

from .caches import caches, previous_cache
from .databases import database
from .environment import env, hosts, is_on, names, whole_number
from .mongodb_url import url_and_password

BASE_DIR = Path(__file__).resolve().parent.parent.parent

DEVELOPMENT_KEY = "development-only-this-key-is-public-and-refused-when-debug-is-off"


DEBUG = is_on("DEBUG", default=True)
SECRET_KEY = env.str("SECRET_KEY", default=DEVELOPMENT_KEY)
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "SECRET_KEY is empty. Set it to a long random text that only this site knows."
    )
# Earlier keys. Their signatures stay valid; nothing new is signed with them.
SECRET_KEY_FALLBACKS = names("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = hosts("ALLOWED_HOSTS")
# The origins of forms behind a proxy, where Django sees another host than the browser.
CSRF_TRUSTED_ORIGINS = names("CSRF_TRUSTED_ORIGINS")
# Only for a proxy that sets the header itself: otherwise a visitor could name any host in it.
USE_X_FORWARDED_HOST = is_on("USE_X_FORWARDED_HOST", default=False)

INSTALLED_APPS = [
    # These come first, because the first app with a command or template of a name wins.
    "demo",
    "cookieproj.devices",
    "cookieproj.engines",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "demo.health.HealthCheckMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "demo.wire.WireMiddleware",
    "demo.middleware.PrivateCacheMiddleware",
    "demo.middleware.NulCookieMiddleware",
    "demo.handshake.HandshakeMiddleware",
    "cookieproj.devices.bound.middleware.BoundSessionsMiddleware",
    "cookieproj.engines.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "demo.middleware.UnreadableFormMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "cookieproj.engines.secret_key_rotation.KeepSessionKeyMiddleware",
    "cookieproj.devices.middleware.DevicesMiddleware",
    "cookieproj.devices.clear_site_data.ClearSiteDataMiddleware",
    "demo.health.DatabaseUnavailableMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "cookieproj.urls"
WSGI_APPLICATION = "cookieproj.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "demo.page_header.state",
            ],
        },
    },
]

DATABASES = {
    "default": database(env.str("DATABASE_URL", default=f"sqlite:///{BASE_DIR}/db.sqlite3"))
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = caches(env.str("CACHE_URL", default="locmem://"))
SESSION_CACHE_ALIAS = "sessions"

SESSION_COOKIE_AGE = whole_number("SESSION_COOKIE_AGE", default=14 * 24 * 60 * 60, minimum=1)
# A public site has the timeouts of NIST SP 800-63B-4 for AAL2, unless it runs another engine than
# ours, which would have none. 0 turns each setting off.
has_timeouts = not DEBUG and env.str("SESSION_ENGINE", default="cookieproj.engines").startswith(
    "cookieproj.engines"
)
SESSION_IDLE_AGE = whole_number("SESSION_IDLE_AGE", default=60 * 60 * has_timeouts) or None
SESSION_ABSOLUTE_AGE = (
    whole_number("SESSION_ABSOLUTE_AGE", default=24 * 60 * 60 * has_timeouts) or None
)
SESSION_RENEW_AGE = whole_number("SESSION_RENEW_AGE", default=0) or None
SESSION_COOKIE_DOMAIN = env.str("SESSION_COOKIE_DOMAIN", default="") or None
SESSION_EXPIRE_AT_BROWSER_CLOSE = is_on("SESSION_EXPIRE_AT_BROWSER_CLOSE", default=False)
SESSION_SAVE_EVERY_REQUEST = is_on("SESSION_SAVE_EVERY_REQUEST", default=False)


def session_engine(name: str) -> str:
    """Return the path of our engine of that name, or SESSION_ENGINE from the environment.

    Raises ImproperlyConfigured if SESSION_ENGINE is empty, or if a public site has not said where
    its cache or its MongoDB is.
    """
    engine: str = env.str("SESSION_ENGINE", default=f"cookieproj.engines.{name}")
    if not engine:
        raise ImproperlyConfigured("SESSION_ENGINE is empty. Name an engine, or unset it.")
    if engine.endswith(".mongodb") and "MONGODB_URL" not in env and not DEBUG:
        raise ImproperlyConfigured(
            f"DEBUG is off, {engine} keeps sessions in MongoDB, and MONGODB_URL is not set. Set it "
            "to mongodb://user:password@host:27017/name."
        )
    caches_sessions = engine.rpartition(".")[2] in {"cache", "cached_db"}
    if caches_sessions and "CACHE_URL" not in env and not DEBUG:
        raise ImproperlyConfigured(
            f"DEBUG is off, {engine} keeps sessions in a cache, and CACHE_URL is not set. Set it "
            "to redis://host:6379/0 or memcached://host:11211; CACHE_URL=locmem:// keeps them in "
            "this process's memory, where other processes do not see them."
        )
    return engine


# The cookie of a session on a server has a signature, and until that moment need not have one.
SESSION_ID_SIGNED = is_on("SESSION_ID_SIGNED", default=False)
SESSION_ID_UNSIGNED_UNTIL = env.str("SESSION_ID_UNSIGNED_UNTIL", default="")

# The engine that ran before: its sessions are moved to SESSION_ENGINE as they are used.
SESSION_HANDOVER_FROM = env.str("SESSION_HANDOVER_FROM", default="")
# The cache in which it kept them, if that is not CACHE_URL.
if handover_cache := env.str("SESSION_HANDOVER_CACHE", default=""):
    CACHES |= {"handover": previous_cache(handover_cache)}
    SESSION_HANDOVER_CACHE_ALIAS = "handover"


session_folder = env.str("SESSION_FILE_PATH", default=str(BASE_DIR / "sessions"))
if not session_folder:
    # Path("") is the working directory.
    raise ImproperlyConfigured("SESSION_FILE_PATH is empty. Name a folder, or unset it.")
SESSION_FILE_PATH = Path(session_folder)

# The MongoDB of the profile mongodb.
SESSION_MONGODB_URL, SESSION_MONGODB_PASSWORD = (
    url_and_password(env.str("MONGODB_URL"))
    if "MONGODB_URL" in env
    else ("mongodb://localhost:27017/cookieproj", "")
)

# Called for each session in a signed cookie: a browser may send a cookie that has ended.
SESSION_REVOCATION_CHECK = "cookieproj.devices.revocation.is_revoked"

# For a session that is too large for its cookie. The default is DEBUG.
if env.str("SESSION_COOKIE_TOO_LARGE_IS_ERROR", default=""):
    SESSION_COOKIE_TOO_LARGE_IS_ERROR = is_on("SESSION_COOKIE_TOO_LARGE_IS_ERROR", default=DEBUG)


def make_private(folder: Path) -> None:
    """Create the folder, readable by this user alone, if it does not exist."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(f"SESSION_FILE_PATH cannot be a folder: {error}") from error


# Only scripts, styles and forms of this site; nothing inline.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

if django.VERSION < (6, 0):
    # Django 5.2 still accepts the ambiguous salt of earlier releases; 6.1 does not. No cookie of
    # this site has that salt.
    SIGNED_COOKIE_LEGACY_SALT_FALLBACK = False

AUTH_USER_MODEL = "demo.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "demo:auth/sign-in"
LOGIN_REDIRECT_URL = "demo:auth/account"
LOGOUT_REDIRECT_URL = "demo:auth/account"

# For commands, and for browsers that accept none of LANGUAGES.
LANGUAGE_CODE = env.str("LANGUAGE_CODE", default="en")
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
# One year, so that a visitor chooses the language once.
LANGUAGE_COOKIE_AGE = 365 * 24 * 60 * 60
LANGUAGE_COOKIE_SAMESITE = "Lax"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

STATIC_URL = "static/"
# The few static files are served from the apps' folders, so a deployment needs no collectstatic.
WHITENOISE_USE_FINDERS = True

# Allows the recipe that shows a session key in the URL.
DEMO_SESSION_IN_PATH = is_on("DEMO_SESSION_IN_PATH", default=DEBUG)

# The number of reverse proxies in front of this site. Each appends to X-Forwarded-For.
DEVICES_PROXIES = whole_number("DEVICES_PROXIES", default=0)

# On how many devices a user may be signed in, and for how many seconds a given password counts.
DEVICES_LIMIT = whole_number("DEVICES_LIMIT", default=0 if DEBUG else 10) or None
DEVICES_ASK_PASSWORD_AFTER = (
    whole_number("DEVICES_ASK_PASSWORD_AFTER", default=0 if DEBUG else 5 * 60) or None
)

# Whether sessions are bound to their devices: "offer", "require", or not at all; and for how many
# seconds a browser need not prove its key again.
DEVICES_BOUND = env.str("DEVICES_BOUND", default="") or None
DEVICES_BOUND_AGE = whole_number("DEVICES_BOUND_AGE", default=5 * 60, minimum=1)

# The levels of OWASP ASVS and NIST SP 800-63B at which ``manage.py check`` checks the site.
SESSION_ASVS_LEVEL = whole_number("SESSION_ASVS_LEVEL", default=0) or None
SESSION_NIST_AAL = whole_number("SESSION_NIST_AAL", default=0) or None

# The file in which ``manage.py benchsessions`` keeps its results for the page /engines/.
SESSION_BENCHMARK_FILE = Path(
    env.str("SESSION_BENCHMARK_FILE", default=str(BASE_DIR / "benchmark.json"))
)

if not DEBUG:
    if DEVELOPMENT_KEY in (SECRET_KEY, *SECRET_KEY_FALLBACKS):
        raise ImproperlyConfigured(
            "DEBUG is off and SECRET_KEY, or one of SECRET_KEY_FALLBACKS, is the public one of "
            "development. Set SECRET_KEY to a long random text that only this site knows."
        )
    if not ALLOWED_HOSTS:
        raise ImproperlyConfigured(
            "DEBUG is off and ALLOWED_HOSTS is empty. "
            "Set it to this site's host names, separated by commas."
        )
    from .production import *

    if SESSION_COOKIE_DOMAIN:
        # Browsers refuse a cookie with the prefix __Host- that has a domain.
        SESSION_COOKIE_NAME = "__Secure-sessionid"
