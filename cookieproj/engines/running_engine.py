"""The session engine that the site runs, as the index and the pages see it."""

from django.contrib.sessions.backends.base import SessionBase
from django.utils.translation import gettext

from .cookie_sessions import CookieSession
from .engine_registry import current_engine, resolve_engine
from .handover import previous, session_store
from .revocation_check import revocation_check


def name() -> str:
    """The running engine as the index calls it."""
    return current_engine().name


def names() -> set[str]:
    """Of the engines whose sessions are good: the running one, in a handover the former too."""
    return {name()} | ({before.name} if (before := previous()) else set())


def store() -> type[SessionBase]:
    """The running engine's; in a handover it knows, and ends, the sessions of the former too.

    Raises ImportError where that is none, ImproperlyConfigured where it hands over from none.
    """
    return session_store()


def store_of(engine: str) -> type[SessionBase]:
    """Of what the index calls an engine. Raises ImportError if it is gone."""
    return store() if engine in names() else resolve_engine(engine).session_class


def is_held_by_browser() -> bool:
    return current_engine().is_held_by_browser


def browsers_may_hold() -> bool:
    """Whether some browser may bring a session along, of which the server holds nothing."""
    before = previous()
    return is_held_by_browser() or (before is not None and before.is_held_by_browser)


def why_not_single() -> str:
    """Why the running engine cannot end a single session from elsewhere; empty if it can."""
    if not is_held_by_browser():
        return ""
    if issubclass(store(), CookieSession):
        if revocation_check():
            return ""
        return gettext(
            "On this engine each browser holds its own session, and the server ends a single one "
            "only if SESSION_REVOCATION_CHECK names a function that refuses it."
        )
    return gettext(
        "On this engine each browser holds its own session, and the server cannot end a single "
        "one. Signing out everywhere works; cookieproj.engines.signed_cookies can do both."
    )
