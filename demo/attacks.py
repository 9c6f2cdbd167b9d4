"""Attempts to break a cookie or a session, each made live, on Django's engines beside ours.

Whatever they store they take away again; users are made in a transaction that is rolled back.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user
from django.contrib.sessions.backends.base import SessionBase
from django.core.signing import BadSignature
from django.db import router, transaction
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import get_random_string
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cookieproj.devices.signing_out import sign_out_everywhere
from cookieproj.engines import running_engine
from cookieproj.engines.constants import (
    CACHE,
    CACHED_DB,
    DB,
    DJANGO_ENGINES,
    FILE,
    OUR_ENGINES,
    SIGNED_COOKIES,
)
from cookieproj.engines.engine_registry import EngineRef, current_engine, resolve_engine
from cookieproj.engines.exceptions import CookieTooLargeError

from .constants import LOGIN_COOKIE
from .login_auth import login_auth
from .models import User
from .view_source import source_of


@dataclass(frozen=True)
class Trial:
    """What was tried on, what came of it, and whether that is what its owner wants."""

    on: str
    outcome: str
    withstood: bool


@dataclass(frozen=True)
class Attempt:
    make: Callable[[], Iterator[Trial]]
    title: Promise
    about: Promise
    why: Promise

    @property
    def name(self) -> str:
        return self.make.__name__.replace("_", "-")

    @property
    def source(self) -> str:
        return source_of(self.make)


ATTEMPTS: dict[str, Attempt] = {}


def attempt(
    title: Promise, about: Promise, why: Promise
) -> Callable[[Callable[[], Iterator[Trial]]], Callable[[], Iterator[Trial]]]:
    """Register what makes it; ``why`` says in a sentence why it comes out as it does."""

    def register(make: Callable[[], Iterator[Trial]]) -> Callable[[], Iterator[Trial]]:
        made = Attempt(make, title, about, why)
        ATTEMPTS[made.name] = made
        return make

    return register


@contextmanager
def stored(store: Any, **data: Any) -> Iterator[Any]:
    """A session with that data, which is gone again after the block."""
    session = store()
    session.update(data)
    session.save()
    key = session.session_key
    try:
        yield session
    finally:
        store(key).delete()


def on_server() -> EngineRef:
    """The running engine if it keeps sessions on the server and Django has it too, else db."""
    found = current_engine()
    return found if found.name in {DB, CACHE, FILE, CACHED_DB} else resolve_engine(DB)


@attempt(
    gettext_lazy("Change one character"),
    gettext_lazy("A cookie says role=guest. Somebody changes a character of it in the browser."),
    gettext_lazy(
        "The signature is made of the value and SECRET_KEY, so only the site can make one for "
        "another value; a plain cookie is whatever the browser sends."
    ),
)
def change_a_character() -> Iterator[Trial]:
    response, request = HttpResponse(), HttpRequest()
    response.set_cookie("plain", "guest")
    response.set_signed_cookie("signed", "guest")
    for name, cookie in response.cookies.items():
        request.COOKIES[name] = f"q{cookie.value[1:]}"

    role = request.COOKIES["plain"]
    yield Trial("request.COOKIES", _("The site reads “%s”.") % role, withstood=False)
    try:
        role = str(request.get_signed_cookie("signed"))
        yield Trial("get_signed_cookie", _("The site reads “%s”.") % role, withstood=False)
    except BadSignature:
        yield Trial("get_signed_cookie", _("BadSignature: the site refuses it."), withstood=True)


@attempt(
    gettext_lazy("Replay a cookie after signing out"),
    gettext_lazy("Somebody has copied a session cookie. Its owner signs out, then everywhere."),
    gettext_lazy(
        "On the server signing out deletes what the key opens; a signed cookie carries its session "
        "along, so it is good until the user's session hash, with the counter in it, is another. "
        "This site's own signed_cookies keeps a list of what was signed out, and refuses those too."
    ),
)
def replay_after_signing_out() -> Iterator[Trial]:
    for name in (DB, SIGNED_COOKIES):
        store = resolve_engine(name).of(DJANGO_ENGINES).session_class
        with throw_away_user() as user:
            session = signed_in(store(), user)
            copied = session.session_key
            session.flush()
            yield replayed(_("%s, after signing out") % name, store(copied), user)
            sign_out_everywhere(user)
            yield replayed(_("%s, after signing out everywhere") % name, store(copied), user)


@contextmanager
def throw_away_user() -> Iterator[User]:
    using = router.db_for_write(User)
    with transaction.atomic(using=using):
        yield User.objects.create(username=get_random_string(20))
        transaction.set_rollback(True, using=using)


def signed_in(session: SessionBase, user: User) -> SessionBase:
    """As login() leaves a session."""
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return session


def replayed(on: str, session: SessionBase, user: User) -> Trial:
    request = HttpRequest()
    request.session = session
    is_in = get_user(request) == user
    outcome = _("The copy still opens it.") if is_in else _("The copy opens nothing.")
    return Trial(on, outcome, withstood=not is_in)


@attempt(
    gettext_lazy("Type is_login=1"),
    gettext_lazy(
        "The cookie of many a tutorial, typed into the developer tools; and one like ours."
    ),
    gettext_lazy(
        "A cookie proves something only if the site can tell that it wrote it: login_auth asks for "
        "a signature that is younger than its age, and for a proof that ends with the password."
    ),
)
def type_is_login() -> Iterator[Trial]:
    request = HttpRequest()
    request.COOKIES = {"is_login": "1", LOGIN_COOKIE: "1.proof:1xUlbC:signature"}

    @login_auth
    def secret(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    naive = bool(request.COOKIES.get("is_login"))
    ours = secret(request).status_code == HttpResponse.status_code
    for on, lets_in in (('request.COOKIES.get("is_login")', naive), ("@login_auth", ours)):
        outcome = _("It lets you in.") if lets_in else _("It keeps you out.")
        yield Trial(on, outcome, withstood=not lets_in)


@attempt(
    gettext_lazy("Fix a session key"),
    gettext_lazy(
        "An attacker plants a session cookie in your browser, and waits until you sign in."
    ),
    gettext_lazy(
        "Django makes every session key itself, and login() changes it with cycle_key(), so what "
        "was planted before opens nothing after; who signs people in by hand must do the same."
    ),
)
def fix_a_session_key() -> Iterator[Trial]:
    store: Any = running_engine.store()
    key = get_random_string(32)
    made_up = store(key)
    made_up["color"] = "blue"
    made_up.save()
    is_kept = made_up.session_key == key
    made_up.delete()
    outcome = (
        _("It is stored under that key.") if is_kept else _("The site takes a key of its own.")
    )
    yield Trial(_("A key that was made up"), outcome, withstood=not is_kept)

    for on, cycles in ((_("A sign-in without cycle_key()"), False), ("login()", True)):
        with stored(store, color="blue") as planted:
            victim = store(planted.session_key)
            if cycles:
                victim.cycle_key()
            victim["uid"] = 1
            victim.save()
            is_in = "uid" in store(planted.session_key)
            victim.delete()
        outcome = _("The attacker is signed in.") if is_in else _("The attacker is left outside.")
        yield Trial(on, outcome, withstood=not is_in)


@attempt(
    gettext_lazy("Send 5,000 bytes"),
    gettext_lazy("A session grows to 5,000 bytes that cannot be compressed."),
    gettext_lazy(
        "Browsers need keep no cookie of more than 4,096 bytes, and drop a larger one without a "
        "word to anybody; a store on the server has no such limit."
    ),
)
def send_5000_bytes() -> Iterator[Trial]:
    text = get_random_string(5000)
    for family in (DJANGO_ENGINES, OUR_ENGINES):
        tried = resolve_engine(SIGNED_COOKIES).of(family)
        session: Any = tried.session_class()
        session["text"] = text
        try:
            session.save()
            told = (
                _("The log is told of a cookie of %d bytes.")
                if family == OUR_ENGINES
                else _("Nobody is told of a cookie of %d bytes.")
            )
            outcome = told % len(session.session_key)
            yield Trial(tried.path, outcome, withstood=False)
        except CookieTooLargeError as error:
            yield Trial(tried.path, str(error), withstood=True)

    ours = on_server().of(OUR_ENGINES)
    with stored(ours.session_class, text=text) as session:
        is_there = ours.session_class(session.session_key).get("text") == text
    outcome = _("All of it is there in the next request.") if is_there else _("It is gone.")
    yield Trial(ours.path, outcome, withstood=is_there)


@attempt(
    gettext_lazy("Write twice at once"),
    gettext_lazy("Two requests of one browser read the session, and each sets a key of its own."),
    gettext_lazy(
        "Django saves the whole session as the request has it, so the later save undoes the "
        "earlier one; ours finds that the stored session has changed, merges key by key, and "
        "tries again. If two requests set the same key, the later save wins on either engine; "
        "use apply() for a counter."
    ),
)
def write_twice_at_once() -> Iterator[Trial]:
    for family in (OUR_ENGINES, DJANGO_ENGINES):
        tried = on_server().of(family)
        store = tried.session_class
        with stored(store, both="know this") as session:
            one, other = store(session.session_key), store(session.session_key)
            for request, key in ((one, "one"), (other, "other")):
                request[key] = "set"
            one.save()
            other.save()
            lost = {"one", "other"} - set(store(session.session_key).keys())
        outcome = _("Lost: %s.") % ", ".join(sorted(lost)) if lost else _("Both are there.")
        yield Trial(tried.path, outcome, withstood=not lost)
