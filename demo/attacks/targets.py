"""The engines, sessions and users that attacks are tried on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user
from django.contrib.sessions.backends.base import VALID_KEY_CHARS, SessionBase
from django.http import HttpRequest
from django.utils.crypto import get_random_string
from django.utils.translation import gettext as _

from cookieproj.devices.refused_sessions import expiry_of, refuse
from cookieproj.devices.row_identity import mark, registered_id
from cookieproj.engines.constants import (
    DB,
    DJANGO_ENGINES,
    ENCRYPTED_COOKIES,
    ENGINE_NAMES,
    MONGODB,
    OUR_ENGINES,
    SIGNED_COOKIES,
)
from cookieproj.engines.engine_registry import EngineRef, current_engine
from demo.models import User

from .registry import Trial

IN_COOKIES = (SIGNED_COOKIES, ENCRYPTED_COOKIES)
# Django's engine that is compared with ours if Django has none of its name.
COUNTERPARTS = {ENCRYPTED_COOKIES: SIGNED_COOKIES, MONGODB: DB}


def running_name() -> str:
    """Return the name of the running engine, or ``db`` if it is neither Django's nor ours."""
    name = current_engine().name
    return name if name in ENGINE_NAMES else DB


def server_name() -> str:
    """Return the name of the running engine, or ``db`` if that keeps sessions in cookies."""
    name = running_name()
    return DB if name in IN_COOKIES else name


def cookie_name() -> str:
    name = running_name()
    return name if name in IN_COOKIES else SIGNED_COOKIES


def djangos_and_ours(name: str) -> tuple[EngineRef, EngineRef]:
    djangos = EngineRef(DJANGO_ENGINES + COUNTERPARTS.get(name, name))
    return djangos, EngineRef(OUR_ENGINES + name)


def engines_to_try() -> tuple[EngineRef, ...]:
    """Return Django's and our engine that store sessions on the server, then both for cookies.

    The running engine is one of them.
    """
    return (*djangos_and_ours(server_name()), *djangos_and_ours(cookie_name()))


def title(engine: EngineRef) -> str:
    text = _("Django's %(engine)s") if engine.is_djangos else _("Our %(engine)s")
    return text % {"engine": engine.name}


def made_up_key() -> str:
    """Return a key that no session has, in the form that every engine on the server accepts."""
    return get_random_string(32, VALID_KEY_CHARS)


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


@contextmanager
def signed_in_session(session_class: Any, user: User) -> Iterator[Any]:
    """Yield a saved session with the entries of a sign-in, and delete it after the block."""
    session = session_class()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    # As the registry of signed-in sessions marks it.
    mark(session, str(uuid4()))
    with temporary_session(session_class, **dict(session.items())) as saved:
        yield saved


def sign_out(session: Any, engine: EngineRef) -> None:
    """End a signed-in session as a site with that engine does.

    A site with our engines refuses copies of the session too, in case a cookie contains it.
    """
    row_id = registered_id(session)
    if row_id and not engine.is_djangos:
        refuse(row_id, expiry_of(session))
    session.flush()


def is_signed_in(session: SessionBase, user: User) -> bool:
    request = HttpRequest()
    request.session = session
    return get_user(request) == user


def replay(target: str, session: SessionBase, user: User) -> Trial:
    """Try to use a copied session as ``user``."""
    if is_signed_in(session, user):
        return Trial(target, _("The copied cookie is still signed in."), withstood=False)
    return Trial(target, _("The copied cookie is no longer signed in."), withstood=True)
