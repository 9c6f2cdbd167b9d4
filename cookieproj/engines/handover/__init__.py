"""A change of engines that signs nobody out.

SESSION_HANDOVER_FROM names the engine that the site ran before. While it is set, a session
that SESSION_ENGINE does not have is looked for there, once, and moved: data, expiry and key.
To and from signed cookies, where the key is the session, the response exchanges the cookie.

Whoever makes a session of SESSION_ENGINE's class gets one that does so: see ``hands_over``.
"""

from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.cached_db import SessionStore as CachedDBStore
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from cookieproj.engines.hands_over import HandsOver
from cookieproj.engines.registry import EngineRef, class_for, running, subclass

from . import deletions  # noqa: F401 - it registers itself
from .homes import are_one, home, shares_rows
from .into_cookies import IntoCookies
from .out_of_cookies import OutOfCookies
from .same_key import FromCachedRows, FromRows, SameKey

__all__ = ["former", "session_store"]


def session_store() -> type[SessionBase]:
    """What requests are served with: the running engine, or that one and the former behind it.

    Raises ImproperlyConfigured, with a sentence that says what to change.
    """
    store: type[SessionBase] = class_for(running().session_class)
    return store


def former() -> EngineRef | None:
    """The engine that the site hands over from; None where it does not.

    Raises ImproperlyConfigured for one that cannot.
    """
    name = former_name()
    return home(name, former_alias()) if name else None


def former_name() -> str:
    return str(getattr(settings, "SESSION_HANDOVER_FROM", "") or "")


def former_alias() -> str:
    """Of CACHES, what the former engine kept its sessions in; the running one's if not set."""
    return str(getattr(settings, "SESSION_HANDOVER_CACHE_ALIAS", "") or "")


def built(store: type[SessionBase]) -> type[SessionBase]:
    """The running engine's class and the former one's behind it."""
    if not issubclass(store, HandsOver):
        raise ImproperlyConfigured(
            _("SESSION_HANDOVER_FROM needs an engine of cookieproj.engines; %(engine)s is none.")
            % {"engine": settings.SESSION_ENGINE}
        )
    new, old = home(settings.SESSION_ENGINE), home(former_name(), former_alias())
    if reason := are_one(new, old):
        raise ImproperlyConfigured(f"SESSION_HANDOVER_FROM={former_name()}. {reason}")
    return subclass(new.store, way(new, old), _new=new.store, _old=old.store)


def way(new: EngineRef, old: EngineRef) -> type[Any]:
    if new.is_held_by_client:
        return IntoCookies
    if old.is_held_by_client:
        return OutOfCookies
    if shares_rows(new, old):
        return FromCachedRows if issubclass(old.store, CachedDBStore) else FromRows
    return SameKey
