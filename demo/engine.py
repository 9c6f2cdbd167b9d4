"""The session engine that the site runs, as the index and the pages see it."""

from importlib import import_module

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.signed_cookies import SessionStore as DjangoSignedCookies
from django.utils.translation import gettext

from cookieproj.engines.signed_cookies import SessionStore as SignedCookies

# Engines of the same name keep the same sessions.
FAMILIES = ("cookieproj.engines.", "django.contrib.sessions.backends.")


def name() -> str:
    """The running engine as the index calls it: db, or the path of one of neither family."""
    path: str = settings.SESSION_ENGINE
    for family in FAMILIES:
        path = path.removeprefix(family)
    return path


def store() -> type[SessionBase]:
    """The running engine's. Raises ImportError or AttributeError where that is none."""
    found: type[SessionBase] = import_module(settings.SESSION_ENGINE).SessionStore
    return found


def store_of(engine: str) -> type[SessionBase]:
    """Of what the index calls an engine. Raises ImportError or AttributeError if it is gone."""
    if engine == name():
        return store()
    path = engine if "." in engine else f"{FAMILIES[0]}{engine}"
    found: type[SessionBase] = import_module(path).SessionStore
    return found


def is_held_by_client() -> bool:
    return issubclass(store(), DjangoSignedCookies)


def why_not_one() -> str:
    """Why the running engine cannot end a single session from elsewhere; empty if it can."""
    if not is_held_by_client() or issubclass(store(), SignedCookies):
        return ""
    return gettext(
        "On this engine each browser holds its own session, and the server cannot end a single "
        "one. Signing out everywhere works; cookieproj.engines.signed_cookies can do both."
    )
