"""Tests whether a store does all that a sign-in needs, with an entry of its own."""

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

# Seconds until the entry expires if it cannot be deleted.
PROBE_TTL = 60


def probe(engine: type[SessionBase]) -> None:
    """Sign in an invented visitor: store, read, change, cycle the key and delete.

    Each step uses the engine's own interface with a new object, as requests do. Nothing stays
    stored. Of our cached_db only the rows are tested, as it works without its cache. In a handover
    only the running engine's store is tested. Raises StoreError, and with an engine that is not
    ours any error.
    """
    own_engine = without_cache(engine)
    keys: list[str] = []
    try:
        stored_value = sign_in_and_cycle_key(own_engine, keys)
    except BaseException:
        with suppress(Exception):
            remove_probe_sessions(own_engine, keys)
        raise
    remove_probe_sessions(own_engine, keys)
    if stored_value != "changed":
        place = (
            store_of(own_engine).label
            if issubclass(own_engine, ListingMixin)
            else settings.SESSION_ENGINE
        )
        raise StoreMisconfiguredError(
            place,
            _("What was stored could not be read back."),
            _("Choose a SESSION_ENGINE or a cache that really stores data."),
        )


def sign_in_and_cycle_key(engine: type[SessionBase], keys: list[str]) -> Any:
    """Return the value that is stored in the end; add each key to ``keys``, for the clean-up."""
    first_request = engine()
    first_request.set_expiry(PROBE_TTL)
    first_request[PROBE_ITEM] = "stored"
    first_request.save()
    keys.append(first_request.session_key or "")
    second_request = engine(first_request.session_key)
    if second_request.get(PROBE_ITEM) != "stored":
        return None
    second_request.cycle_key()
    keys.append(second_request.session_key or "")
    second_request[PROBE_ITEM] = "changed"
    second_request.save()
    # With signed cookies the session key is the saved session.
    keys.append(second_request.session_key or "")
    return engine(second_request.session_key).get(PROBE_ITEM)


def remove_probe_sessions(engine: type[SessionBase], keys: list[str]) -> None:
    for key in filter(None, dict.fromkeys(keys)):
        engine().delete(key)


def without_cache(engine: type[SessionBase]) -> type[SessionBase]:
    """Return the engine without a handover, and our cached_db without its cache."""
    is_cached = issubclass(engine, DjangoCachedDB) and issubclass(engine, ListingMixin)
    return rows_of(engine) if is_cached else without_handover(engine, "")


@cache
def rows_of(engine: type[SessionBase]) -> type[SessionBase]:
    # Imported here, as that module imports checks, which imports this one.
    from .row_store import RowStore  # noqa: PLC0415

    # A lambda, as a class does not bind to the session whose attribute it is.
    return same_named_subclass(engine, make_store=lambda session: RowStore(session))  # noqa: PLW0108
