"""Whether a store does what a sign-in asks of it: tried, with an entry of its own."""

from contextlib import suppress
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.utils.translation import gettext_lazy as _

from .exceptions import StoreMisconfiguredError

# What the entry holds, and the seconds after which it goes where it could not be removed.
MARK = "_probe"
SECONDS = 60


def probe(store: type[SessionBase]) -> None:
    """Sign a visitor in that there is not: store, read, change, give a new key, and remove.

    All by the engine's own interface, each step by another object as in requests. Nothing
    is left. Of our cached_db it is the rows, as that goes on without its cache. Raises
    StoreError, and whatever is raised by an engine that is none of ours.
    """
    rows = without_cache(store)
    keys: list[str] = []
    try:
        found = signed_in(rows, keys)
    except BaseException:
        with suppress(Exception):
            remove(rows, keys)
        raise
    remove(rows, keys)
    if found != "changed":
        place = rows._place() if hasattr(rows, "_place") else settings.SESSION_ENGINE
        raise StoreMisconfiguredError(
            place,
            _("What was stored there was not found again."),
            _("Name a store in SESSION_ENGINE, or CACHES, that keeps what it is given."),
        )


def signed_in(store: type[SessionBase], keys: list[str]) -> Any:
    """What is stored in the end; ``keys`` are those under which something may be."""
    visitor = store()
    visitor.set_expiry(SECONDS)
    visitor[MARK] = "stored"
    visitor.save()
    keys.append(visitor.session_key or "")
    request = store(visitor.session_key)
    if request.get(MARK) != "stored":
        return None
    request.cycle_key()
    keys.append(request.session_key or "")
    request[MARK] = "changed"
    request.save()
    # Where the browser holds the session, its key is what was saved.
    keys.append(request.session_key or "")
    return store(request.session_key).get(MARK)


def remove(store: type[SessionBase], keys: list[str]) -> None:
    for key in filter(None, dict.fromkeys(keys)):
        store().delete(key)


def without_cache(store: type[SessionBase]) -> type[SessionBase]:
    """Our cached_db as our db: all that goes to the cache replaced. Any other engine itself."""
    # Not above: they are made of checks, and those of this.
    from . import cached_db, db  # noqa: PLC0415

    if not issubclass(store, cached_db.SessionStore):
        return store
    names = [name for name in vars(cached_db.SessionStore) if not name.startswith("__")]
    rows = {
        name: getattr(db.SessionStore, name) for name in names if hasattr(db.SessionStore, name)
    }
    return type(store.__name__, (store,), rows)
