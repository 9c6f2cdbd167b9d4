"""The session engine that the site runs, as the index and the pages see it."""

from importlib import import_module

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.signed_cookies import SessionStore as DjangoSignedCookies
from django.utils.translation import gettext

from cookieproj.engines.constants import DJANGOS, OURS
from cookieproj.engines.handover import former, session_store
from cookieproj.engines.signed_cookies import SessionStore as SignedCookies

# Engines of the same name keep the same sessions.
FAMILIES = (OURS, DJANGOS)


def name() -> str:
    """The running engine as the index calls it: db, or the path of one of neither family."""
    path: str = settings.SESSION_ENGINE
    for family in FAMILIES:
        path = path.removeprefix(family)
    return path


def names() -> set[str]:
    """Of the engines whose sessions are good: the running one, in a handover the former too."""
    home = former()
    return {name(), home.name} if home else {name()}


def store() -> type[SessionBase]:
    """The running engine's; in a handover it knows, and ends, the sessions of the former too.

    Raises ImportError where that is none, ImproperlyConfigured where it hands over from none.
    """
    return session_store()


def store_of(engine: str) -> type[SessionBase]:
    """Of what the index calls an engine. Raises ImportError or AttributeError if it is gone."""
    if engine in names():
        return store()
    path = engine if "." in engine else f"{FAMILIES[0]}{engine}"
    found: type[SessionBase] = import_module(path).SessionStore
    return found


def is_held_by_client() -> bool:
    return issubclass(store(), DjangoSignedCookies)


def clients_may_hold() -> bool:
    """Whether some browser may bring a session along, of which the server holds nothing."""
    home = former()
    return is_held_by_client() or (home is not None and home.is_held_by_client)


def why_not_one() -> str:
    """Why the running engine cannot end a single session from elsewhere; empty if it can."""
    if not is_held_by_client() or issubclass(store(), SignedCookies):
        return ""
    return gettext(
        "On this engine each browser holds its own session, and the server cannot end a single "
        "one. Signing out everywhere works; cookieproj.engines.signed_cookies can do both."
    )
