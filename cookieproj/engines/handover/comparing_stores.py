"""Engines that sessions can be moved between, and whether two of them are in one place."""

from dataclasses import replace
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.cache import SessionStore as DjangoCacheEngine
from django.contrib.sessions.backends.db import SessionStore as DBStore
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from cookieproj.engines.caches.generic import GenericCacheStore
from cookieproj.engines.caches.memory import MemoryStore
from cookieproj.engines.constants import ENGINE_NAMES, OUR_ENGINES
from cookieproj.engines.engine_registry import EngineRef, resolve_engine
from cookieproj.engines.handover_mixin import HandoverMixin, store_of
from cookieproj.engines.row_store import RowStore
from cookieproj.engines.store_probe import PROBE_TTL


def handover_engine(name: str, alias: str = "") -> EngineRef:
    """An engine that sessions can be moved between, by name or path; ours for Django's.

    Both are of the same wire format, so ours reads what Django's has stored. ``alias`` is heeded
    where the engine has a cache. Raises ImproperlyConfigured.
    """
    engine = resolve_engine(name).of(OUR_ENGINES)
    try:
        store = engine.session_class
    except ImportError:
        store = None
    if not (isinstance(store, type) and issubclass(store, HandoverMixin)):
        raise ImproperlyConfigured(
            _(
                "%(name)r is no engine that sessions can be moved between; choose one of "
                "%(names)s, or the dotted path of one made of these."
            )
            % {"name": name, "names": ", ".join(ENGINE_NAMES)}
        )
    is_another = engine.has_cache and alias != settings.SESSION_CACHE_ALIAS
    return replace(engine, alias=alias if is_another else "")


def same_store(one: EngineRef, other: EngineRef, *, ask: bool = False, copies: bool = False) -> str:
    """A sentence that says so, where both keep their sessions under the same names; else empty.

    By the settings, or by the stores themselves if they may be asked: a host has several names,
    and a folder too. Raises StoreError where they do not answer. With another serializer a
    session can be moved within its place, but not copied.
    """
    if one == other:
        return _("Both are %(name)s: name the engine that ran, and the one that is to run.") % {
            "name": one.name
        }
    if not copies and serializer_mark(one) != serializer_mark(other):
        return ""
    if not are_in_one_place(one, other, ask=ask):
        return ""
    return _("Both keep their sessions in %(place)s, under the same names.") % {
        "place": store_of(one.store).label
    }


def are_in_one_place(one: EngineRef, other: EngineRef, *, ask: bool = False) -> bool:
    """Whether each would find under a name what the other has put there, db and cached_db apart."""
    if one.is_held_by_browser or other.is_held_by_browser or share_rows(one, other):
        return False
    if store_of(one.store).id != store_of(other.store).id:
        return False
    are_caches = all(issubclass(engine.store, DjangoCacheEngine) for engine in (one, other))
    return (are_caches and cache_address(one) == cache_address(other)) or (
        ask and finds_stored_session(one, other)
    )


def cache_address(engine: EngineRef) -> tuple[str, Any]:
    """Of a cache, by the settings. What tells no server is known by its location alone."""
    store = store_of(engine.store)
    alias = engine.alias or settings.SESSION_CACHE_ALIAS
    location = (
        settings.CACHES[alias].get("LOCATION")
        if type(store) in {GenericCacheStore, MemoryStore}
        else None
    )
    return str(store.label), location


def finds_stored_session(one: EngineRef, other: EngineRef) -> bool:
    """Whether there is for the one what the other has just stored: tried, and removed again."""
    session = other.store()
    session.set_expiry(PROBE_TTL)
    session.save()
    try:
        return bool(one.store().exists(session.session_key))
    finally:
        session.delete()


def serializer_mark(engine: EngineRef) -> Any:
    """By it one tells a serializer from another, where the cache has one to choose."""
    store = store_of(engine.store)
    return store.serialized_empty if isinstance(store, GenericCacheStore) else None


def share_rows(one: EngineRef, other: EngineRef) -> bool:
    """Whether what the one stores is there for the other already: db and cached_db."""
    if not all(issubclass(engine.store, DBStore) for engine in (one, other)):
        return False
    tables = [RowStore(engine.store()).table for engine in (one, other)]
    return len({(table.model._meta.db_table, table.using) for table in tables}) == 1
