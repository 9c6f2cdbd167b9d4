"""Whether a store does what a sign-in asks of it: tried, with an entry of its own."""

from contextlib import suppress
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.cached_db import SessionStore as DjangoCachedDB
from django.utils.translation import gettext_lazy as _

from .constants import PROBE_ITEM
from .engine_registry import same_named_subclass, without_handover
from .exceptions import StoreMisconfiguredError
from .handover_mixin import store_of
from .listing import ListingMixin

# After so long the entry goes, where it could not be removed.
PROBE_SECONDS = 60


def probe(store: type[SessionBase]) -> None:
    """Sign a visitor in that there is not: store, read, change, give a new key, and remove.

    All by the engine's own interface, each step by another object as in requests. Nothing
    is left. Of our cached_db it is the rows, as that goes on without its cache; in a
    handover it is the running engine's store. Raises StoreError, and whatever is raised
    by an engine that is none of ours.
    """
    alone = without_cache(store)
    keys: list[str] = []
    try:
        found = sign_in_and_cycle_key(alone, keys)
    except BaseException:
        with suppress(Exception):
            remove_probe_sessions(alone, keys)
        raise
    remove_probe_sessions(alone, keys)
    if found != "changed":
        place = (
            store_of(alone).label if issubclass(alone, ListingMixin) else settings.SESSION_ENGINE
        )
        raise StoreMisconfiguredError(
            place,
            _("What was stored could not be read back."),
            _("Choose a SESSION_ENGINE or a cache that really stores data."),
        )


def sign_in_and_cycle_key(store: type[SessionBase], keys: list[str]) -> Any:
    """What is stored in the end; ``keys`` are those under which something may be."""
    visitor = store()
    visitor.set_expiry(PROBE_SECONDS)
    visitor[PROBE_ITEM] = "stored"
    visitor.save()
    keys.append(visitor.session_key or "")
    request = store(visitor.session_key)
    if request.get(PROBE_ITEM) != "stored":
        return None
    request.cycle_key()
    keys.append(request.session_key or "")
    request[PROBE_ITEM] = "changed"
    request.save()
    # Where the browser holds the session, its key is what was saved.
    keys.append(request.session_key or "")
    return store(request.session_key).get(PROBE_ITEM)


def remove_probe_sessions(store: type[SessionBase], keys: list[str]) -> None:
    for key in filter(None, dict.fromkeys(keys)):
        store().delete(key)


def without_cache(store: type[SessionBase]) -> type[SessionBase]:
    """By itself, and our cached_db as our db."""
    is_cached = issubclass(store, DjangoCachedDB) and issubclass(store, ListingMixin)
    return rows_of(store) if is_cached else without_handover(store, "")


@cache
def rows_of(engine: type[SessionBase]) -> type[SessionBase]:
    # Not above: it is made of checks, and those of this.
    from .row_store import RowStore  # noqa: PLC0415

    # No class is called with the session that it is an attribute of.
    return same_named_subclass(engine, make_store=lambda session: RowStore(session))  # noqa: PLW0108
