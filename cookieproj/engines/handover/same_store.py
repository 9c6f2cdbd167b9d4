"""Whether two engines keep their sessions in the same store, so that there is nothing to move."""

from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.cache import SessionStore as DjangoCacheEngine
from django.contrib.sessions.backends.db import SessionStore as DBStore
from django.utils.translation import gettext as _

from cookieproj.engines.caches.generic import GenericCacheStore
from cookieproj.engines.caches.memory import MemoryStore
from cookieproj.engines.engine_registry import EngineRef
from cookieproj.engines.handover_mixin import store_of
from cookieproj.engines.row_store import RowStore
from cookieproj.engines.store_probe import PROBE_TTL


def why_same_store(
    old: EngineRef, new: EngineRef, *, probe: bool = False, is_copying: bool = False
) -> str:
    """Return a sentence if both engines keep their sessions under the same names; else "".

    The settings decide. With ``probe`` the stores are tried as well, because a host or a folder
    can have several names; that raises StoreError if one does not answer. Two caches that differ
    in the serializer alone count as different: a session can be moved from one format to the
    other under its name. It cannot be copied, so with ``is_copying`` they count as the same.
    """
    if old == new:
        text = _("Both are %(name)s. Name the engine that ran before, and the engine to switch to.")
        if old.has_cache:
            text = _(
                "Both are %(name)s. If it had another cache before, name that one in "
                "SESSION_HANDOVER_CACHE_ALIAS (on this site, its URL in SESSION_HANDOVER_CACHE). "
                "Otherwise name the engine that ran before, and the engine to switch to."
            )
        return text % {"name": old.name}
    if not is_copying and serialized_empty(old) != serialized_empty(new):
        return ""
    if not is_same_store(old, new, probe=probe):
        return ""
    return _("Both keep their sessions in %(place)s, under the same names.") % {
        "place": store_of(old.store).label
    }


def is_same_store(old: EngineRef, new: EngineRef, *, probe: bool = False) -> bool:
    """Whether each engine finds under a key what the other stored, except for db and cached_db."""
    if old.is_held_by_browser or new.is_held_by_browser or share_rows(old, new):
        return False
    if store_of(old.store).id != store_of(new.store).id:
        return False
    are_caches = all(issubclass(engine.store, DjangoCacheEngine) for engine in (old, new))
    return (are_caches and cache_address(old) == cache_address(new)) or (
        probe and finds_session_of(old, new)
    )


def cache_address(engine: EngineRef) -> tuple[str, Any]:
    """Return what identifies the engine's cache in the settings: its label, and its LOCATION.

    LOCATION is None where the label names the server already.
    """
    store = store_of(engine.store)
    alias = engine.alias or settings.SESSION_CACHE_ALIAS
    location = (
        settings.CACHES[alias].get("LOCATION")
        if type(store) in {GenericCacheStore, MemoryStore}
        else None
    )
    return str(store.label), location


def finds_session_of(finder: EngineRef, writer: EngineRef) -> bool:
    """Whether one engine finds a session that the other stores: it is tried, and deleted again."""
    session = writer.store()
    session.set_expiry(PROBE_TTL)
    session.save()
    try:
        return bool(finder.store().exists(session.session_key))
    finally:
        session.delete()


def serialized_empty(engine: EngineRef) -> Any:
    """Return an empty session as the cache's serializer writes it, which tells serializers apart.

    None for an engine whose cache has no serializer to choose.
    """
    store = store_of(engine.store)
    return store.serialized_empty if isinstance(store, GenericCacheStore) else None


def share_rows(one: EngineRef, other: EngineRef) -> bool:
    """Whether both engines read and write the same table: db and cached_db."""
    if not all(issubclass(engine.store, DBStore) for engine in (one, other)):
        return False
    tables = [RowStore(engine.store()).table for engine in (one, other)]
    return len({(table.model._meta.db_table, table.using) for table in tables}) == 1
