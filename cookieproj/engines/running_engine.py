"""The session engine that the site runs, for the registry of signed-in sessions and the pages."""

from django.contrib.sessions.backends.base import SessionBase
from django.utils.translation import gettext

from .cookie_sessions import CookieSession
from .engine_registry import current_engine, resolve_engine
from .handover import previous, session_store
from .revocation_check import revocation_check


def name() -> str:
    """Return the running engine's name in the registry."""
    return current_engine().name


def names() -> set[str]:
    """Return the names of the engines with valid sessions: in a handover the previous one too."""
    return {name()} | ({handover_engine.name} if (handover_engine := previous()) else set())


def store() -> type[SessionBase]:
    """Return the running engine. In a handover it also opens and ends sessions of the previous one.

    Raises ImportError if there is no such engine, ImproperlyConfigured if the previous one is
    wrong.
    """
    return session_store()


def store_of(engine: str) -> type[SessionBase]:
    """Return the engine with that name in the registry. Raises ImportError if it does not exist."""
    return store() if engine in names() else resolve_engine(engine).session_class


def is_held_by_browser() -> bool:
    return current_engine().is_held_by_browser


def browsers_may_hold() -> bool:
    """Whether a browser may have a session of which the server stores nothing."""
    handover_engine = previous()
    return is_held_by_browser() or (
        handover_engine is not None and handover_engine.is_held_by_browser
    )


def why_not_single() -> str:
    """Return why the engine cannot end a single session from another device; empty if it can."""
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
