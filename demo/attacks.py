"""Attacks on a cookie or a session, run live on Django's engines and on ours.

Each attack deletes the sessions that it stores. It creates users in a transaction that is
rolled back.
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
    """One result of an attack: its target, its outcome, and whether the target withstood it."""

    target: str
    outcome: str
    withstood: bool


@dataclass(frozen=True)
class Attempt:
    """An attack as the page shows it: ``why`` explains its outcome in one sentence."""

    run: Callable[[], Iterator[Trial]]
    title: Promise
    about: Promise
    why: Promise

    @property
    def name(self) -> str:
        return self.run.__name__.replace("_", "-")

    @property
    def source(self) -> str:
        return source_of(self.run)


ATTEMPTS: dict[str, Attempt] = {}


def attempt(
    title: Promise, about: Promise, why: Promise
) -> Callable[[Callable[[], Iterator[Trial]]], Callable[[], Iterator[Trial]]]:
    """Register a function that yields the trials of an attack."""

    def register(run: Callable[[], Iterator[Trial]]) -> Callable[[], Iterator[Trial]]:
        registered = Attempt(run, title, about, why)
        ATTEMPTS[registered.name] = registered
        return run

    return register


@contextmanager
def temporary_session(session_class: Any, **data: Any) -> Iterator[Any]:
    """Yield a saved session with ``data``, and delete it after the block."""
    session = session_class()
    session.update(data)
    session.save()
    key = session.session_key
    try:
        yield session
    finally:
        session_class(key).delete()


def server_engine() -> EngineRef:
    """Return the running engine if it stores sessions on the server and Django has it, else db."""
    engine = current_engine()
    return engine if engine.name in {DB, CACHE, FILE, CACHED_DB} else resolve_engine(DB)


@attempt(
    gettext_lazy("Change one character"),
    gettext_lazy(
        "A cookie says role=guest. Somebody changes one of its characters in the browser."
    ),
    gettext_lazy(
        "The signature is computed from the value and SECRET_KEY, so only the site can sign a "
        "different value. A plain cookie has no signature: the site reads whatever the browser "
        "sends."
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
    gettext_lazy(
        "Somebody has copied a session cookie. Its owner signs out, and then signs out everywhere."
    ),
    gettext_lazy(
        "If the server stores the session, signing out deletes it. A signed cookie contains the "
        "whole session, so a copy stays valid until the user's session hash changes. Signing out "
        "everywhere changes the hash by raising a counter in it. This site also lists the "
        "sessions that were signed out, and its own signed_cookies engine refuses them."
    ),
)
def replay_after_signing_out() -> Iterator[Trial]:
    for name in (DB, SIGNED_COOKIES):
        session_class = resolve_engine(name).of(DJANGO_ENGINES).session_class
        with temporary_user() as user:
            session = sign_in(session_class(), user)
            copied_key = session.session_key
            session.flush()
            after = _("%s, after signing out") % name
            yield replay(after, session_class(copied_key), user)
            sign_out_everywhere(user)
            after = _("%s, after signing out everywhere") % name
            yield replay(after, session_class(copied_key), user)


@contextmanager
def temporary_user() -> Iterator[User]:
    """Yield a saved user in a transaction, and roll it back after the block."""
    using = router.db_for_write(User)
    with transaction.atomic(using=using):
        yield User.objects.create(username=get_random_string(20))
        transaction.set_rollback(True, using=using)


def sign_in(session: SessionBase, user: User) -> SessionBase:
    """Save ``session`` with the keys that login() sets."""
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return session


def replay(target: str, session: SessionBase, user: User) -> Trial:
    """Try to use a copied session as ``user``."""
    request = HttpRequest()
    request.session = session
    is_signed_in = get_user(request) == user
    outcome = (
        _("The copied cookie is still signed in.")
        if is_signed_in
        else _("The copied cookie is no longer signed in.")
    )
    return Trial(target, outcome, withstood=not is_signed_in)


@attempt(
    gettext_lazy("Type is_login=1"),
    gettext_lazy(
        "The cookie from many tutorials, typed into the developer tools, and a forged login_auth "
        "cookie."
    ),
    gettext_lazy(
        "A cookie proves something only if the site can verify that it set the cookie. login_auth "
        "requires a signature that has not expired, and a proof that becomes invalid when the "
        "password changes."
    ),
)
def type_is_login() -> Iterator[Trial]:
    request = HttpRequest()
    request.COOKIES = {"is_login": "1", LOGIN_COOKIE: "1.proof:1xUlbC:signature"}

    @login_auth
    def secret(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    naive_admits = bool(request.COOKIES.get("is_login"))
    login_auth_admits = secret(request).status_code == HttpResponse.status_code
    for target, admits in (
        ('request.COOKIES.get("is_login")', naive_admits),
        ("@login_auth", login_auth_admits),
    ):
        outcome = _("It lets you in.") if admits else _("It keeps you out.")
        yield Trial(target, outcome, withstood=not admits)


@attempt(
    gettext_lazy("Plant a session key"),
    gettext_lazy(
        "An attacker plants a session cookie in your browser, and waits until you sign in."
    ),
    gettext_lazy(
        "Django generates every session key itself, and login() replaces it with cycle_key(), so "
        "a planted key is worthless after the sign-in. Code that signs people in by hand must "
        "call cycle_key() too."
    ),
)
def fix_a_session_key() -> Iterator[Trial]:
    session_class: Any = running_engine.store()
    made_up_key = get_random_string(32)
    session = session_class(made_up_key)
    session["color"] = "blue"
    session.save()
    is_accepted = session.session_key == made_up_key
    session.delete()
    outcome = (
        _("The site stores the session under that key.")
        if is_accepted
        else _("The site generates a key of its own.")
    )
    yield Trial(_("A made-up key"), outcome, withstood=not is_accepted)

    for target, cycles_key in ((_("A sign-in without cycle_key()"), False), ("login()", True)):
        with temporary_session(session_class, color="blue") as planted:
            victim = session_class(planted.session_key)
            if cycles_key:
                victim.cycle_key()
            victim["uid"] = 1
            victim.save()
            is_signed_in = "uid" in session_class(planted.session_key)
            victim.delete()
        outcome = (
            _("The attacker is signed in.") if is_signed_in else _("The attacker is not signed in.")
        )
        yield Trial(target, outcome, withstood=not is_signed_in)


@attempt(
    gettext_lazy("Send 5,000 bytes"),
    gettext_lazy("A session grows to 5,000 bytes that cannot be compressed."),
    gettext_lazy(
        "Browsers need not keep a cookie of more than 4,096 bytes, and silently drop a larger "
        "one. A session on the server has no such limit."
    ),
)
def send_5000_bytes() -> Iterator[Trial]:
    text = get_random_string(5000)
    for family in (DJANGO_ENGINES, OUR_ENGINES):
        engine = resolve_engine(SIGNED_COOKIES).of(family)
        session: Any = engine.session_class()
        session["text"] = text
        try:
            session.save()
            message = (
                _("The cookie has %d bytes, and the log says so.")
                if family == OUR_ENGINES
                else _("The cookie has %d bytes, and nothing reports it.")
            )
            outcome = message % len(session.session_key)
            yield Trial(engine.path, outcome, withstood=False)
        except CookieTooLargeError as error:
            yield Trial(engine.path, str(error), withstood=True)

    engine = server_engine().of(OUR_ENGINES)
    with temporary_session(engine.session_class, text=text) as session:
        is_complete = engine.session_class(session.session_key).get("text") == text
    outcome = _("The next request reads all of it.") if is_complete else _("It is gone.")
    yield Trial(engine.path, outcome, withstood=is_complete)


@attempt(
    gettext_lazy("Write from two requests at once"),
    gettext_lazy("Two requests from one browser read the session, and each sets a different key."),
    gettext_lazy(
        "Django writes the request's copy of the whole session, so the later save overwrites the "
        "earlier one. Our engine notices that the stored session has changed, merges it key by "
        "key, and tries again. If two requests set the same key, the later save wins with either "
        "engine: use apply() for a counter."
    ),
)
def write_twice_at_once() -> Iterator[Trial]:
    for family in (OUR_ENGINES, DJANGO_ENGINES):
        engine = server_engine().of(family)
        session_class = engine.session_class
        with temporary_session(session_class, shared="data") as session:
            first, second = (session_class(session.session_key) for _request in range(2))
            # Both load the session before either saves it.
            for request_session, key in ((first, "first"), (second, "second")):
                request_session[key] = "set"
            first.save()
            second.save()
            lost = {"first", "second"} - set(session_class(session.session_key).keys())
        outcome = _("Lost: %s.") % ", ".join(sorted(lost)) if lost else _("Both keys are stored.")
        yield Trial(engine.path, outcome, withstood=not lost)
