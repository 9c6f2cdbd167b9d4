"""A change of engines that signs nobody out.

SESSION_HANDOVER_FROM names the engine that the site ran before. While it is set, a session
that SESSION_ENGINE does not have is looked for there, once, and moved: data, expiry and key.
To and from signed cookies, where the key is the session, the response exchanges the cookie.

Whoever makes a session of SESSION_ENGINE's class gets one that does so: see ``handover_mixin``.
"""

from collections.abc import Callable
from functools import partial
from typing import cast

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.cached_db import SessionStore as CachedDBStore
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from cookieproj.engines.cached_row_store import CachedRowStore
from cookieproj.engines.engine_registry import EngineRef, current_engine, same_named_subclass
from cookieproj.engines.handover_mixin import HandoverMixin, class_and_composer, store_of
from cookieproj.engines.store import Store

from . import deleted_rows  # noqa: F401 - it registers itself
from .comparing_stores import handover_engine, same_store, share_rows
from .cookie_to_cookie import CookieToCookie
from .cookie_to_server import CookieToServer
from .migrating_store import CopiesBehindRows, MigratingStore, RowsBesideCopies
from .move_one import expiry_of_data
from .server_to_cookie import ServerToCookie

__all__ = ["former", "session_store"]


def session_store() -> type[SessionBase]:
    """What requests are served with: the running engine, or that one and the former behind it.

    Raises ImproperlyConfigured, with a sentence that says what to change.
    """
    store: type[SessionBase] = class_and_composer(current_engine().session_class)[0]
    return store


def previous() -> EngineRef | None:
    """The engine that the site hands over from; None where it does not.

    Raises ImproperlyConfigured for one that cannot.
    """
    name = previous_name()
    return handover_engine(name, previous_alias()) if name else None


def previous_name() -> str:
    return str(getattr(settings, "SESSION_HANDOVER_FROM", "") or "")


def previous_alias() -> str:
    """Of CACHES, what the former engine kept its sessions in; the running one's if not set."""
    return str(getattr(settings, "SESSION_HANDOVER_CACHE_ALIAS", "") or "")


def build_handover(
    engine: type[SessionBase],
) -> tuple[type[SessionBase], Callable[[Store], Store] | None]:
    """To and from cookies, the class of the running engine's sessions; else what makes its store
    one of both.
    """
    new, old = new_and_previous(engine)
    if new.is_held_by_browser and old.is_held_by_browser:
        return same_named_subclass(engine, CookieToCookie, _old=old.store), None
    if new.is_held_by_browser:
        return same_named_subclass(engine, ServerToCookie, _old=old.store), None
    if old.is_held_by_browser:
        return same_named_subclass(engine, CookieToServer, _new=new.store, _old=old.store), None
    if not share_rows(new, old):
        expiry_of = partial(expiry_of_data, new.store)
        return engine, lambda own: MigratingStore(own, store_of(old.store), expiry_of)
    if issubclass(old.store, CachedDBStore):
        previous = old.store
        return engine, lambda own: RowsBesideCopies(own, cast(CachedRowStore, store_of(previous)))
    return engine, CopiesBehindRows


def new_and_previous(engine: type[SessionBase]) -> tuple[EngineRef, EngineRef]:
    """The running engine and the former. Raises ImproperlyConfigured where they are none."""
    if not issubclass(engine, HandoverMixin):
        raise ImproperlyConfigured(
            _("SESSION_HANDOVER_FROM needs an engine of cookieproj.engines; %(engine)s is none.")
            % {"engine": settings.SESSION_ENGINE}
        )
    new, old = (
        handover_engine(settings.SESSION_ENGINE),
        handover_engine(previous_name(), previous_alias()),
    )
    if reason := same_store(new, old):
        raise ImproperlyConfigured(f"SESSION_HANDOVER_FROM={previous_name()}. {reason}")
    return new, old
