"""Handover: a change of engines that signs nobody out.

SESSION_HANDOVER_FROM names the engine that the site ran before. While it is set, a session that
SESSION_ENGINE does not have is looked up in the old store and moved, with its data, expiry and
key. To and from signed cookies, where the cookie is the session, the response exchanges the
cookie instead.

Every session of SESSION_ENGINE's class takes part, however it was created: see ``handover_mixin``.
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

from . import row_deletion_receiver  # noqa: F401 - it registers itself
from .cookie_to_cookie import CookieToCookie
from .cookie_to_server import CookieToServer
from .migrating_store import MigratingStore
from .movable_engines import handover_engine
from .move_one import expiry_of_data
from .same_store import share_rows, why_same_store
from .server_to_cookie import ServerToCookie
from .shared_rows import CachedDbAfterDb, DbAfterCachedDb

__all__ = [
    "build_handover",
    "build_handover_between",
    "previous",
    "previous_alias",
    "session_store",
]


def session_store() -> type[SessionBase]:
    """Return the class of the sessions that requests get, with the handover if there is one.

    Raises ImproperlyConfigured, with a sentence that says what to change.
    """
    session_class: type[SessionBase] = class_and_composer(current_engine().session_class)[0]
    return session_class


def previous() -> EngineRef | None:
    """Return the engine that the site hands over from; None without a handover.

    Raises ImproperlyConfigured for an engine that sessions cannot be moved from.
    """
    name = previous_name()
    return handover_engine(name, previous_alias()) if name else None


def previous_name() -> str:
    return str(getattr(settings, "SESSION_HANDOVER_FROM", "") or "")


def previous_alias() -> str:
    """Return the alias in CACHES of the cache that the old engine used.

    Empty if that is the cache of the running engine.
    """
    return str(getattr(settings, "SESSION_HANDOVER_CACHE_ALIAS", "") or "")


def build_handover(
    engine: type[SessionBase],
) -> tuple[type[SessionBase], Callable[[Store], Store] | None]:
    """Return the class of the running engine's sessions, and what makes its store one of both.

    To and from signed cookies there is no such store, but a class that exchanges cookies.
    """
    return build_handover_between(engine, *old_and_new(engine))


def build_handover_between(
    engine: type[SessionBase], old: EngineRef, new: EngineRef
) -> tuple[type[SessionBase], Callable[[Store], Store] | None]:
    """As ``build_handover``, with the two engines in place of the settings' ones."""
    if new.is_held_by_browser and old.is_held_by_browser:
        return same_named_subclass(engine, CookieToCookie, _old=old.store), None
    if new.is_held_by_browser:
        return same_named_subclass(engine, ServerToCookie, _old=old.store), None
    if old.is_held_by_browser:
        return same_named_subclass(engine, CookieToServer, _new=new.store, _old=old.store), None
    if not share_rows(old, new):
        expiry_of = partial(expiry_of_data, new.store)
        return engine, lambda store: MigratingStore(store, store_of(old.store), expiry_of)
    if issubclass(old.store, CachedDBStore):
        cached_db = old.store
        return engine, lambda store: DbAfterCachedDb(
            store, cast(CachedRowStore, store_of(cached_db))
        )
    return engine, CachedDbAfterDb


def old_and_new(engine: type[SessionBase]) -> tuple[EngineRef, EngineRef]:
    """Return the previous and the running engine.

    Raises ImproperlyConfigured if sessions cannot be moved between the two.
    """
    if not issubclass(engine, HandoverMixin):
        raise ImproperlyConfigured(
            _(
                "With SESSION_HANDOVER_FROM, SESSION_ENGINE must be an engine of "
                "cookieproj.engines; %(engine)s is not."
            )
            % {"engine": settings.SESSION_ENGINE}
        )
    new = handover_engine(settings.SESSION_ENGINE)
    old = handover_engine(previous_name(), previous_alias())
    if reason := why_same_store(old, new):
        raise ImproperlyConfigured(f"SESSION_HANDOVER_FROM={previous_name()}. {reason}")
    return old, new
