"""Engines as they are, whose sessions are kept apart from the site's and gone in the end."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.file import SessionStore as DjangoFileStore
from django.db import router

from cookieproj.engines import running_engine
from cookieproj.engines.caches import adapter_for
from cookieproj.engines.constants import BENCHMARK_KEY_PREFIX
from cookieproj.engines.engine_registry import same_named_subclass
from cookieproj.engines.sql_statements import Table

# Rows that one statement removes.
BATCH = 500


class Namespaced(SessionBase):
    """An engine that gives its sessions keys in NAMESPACE, and remembers them."""

    made: set[str]

    def _get_new_session_key(self) -> str:
        random: str = super()._get_new_session_key()  # type: ignore[misc]
        key = BENCHMARK_KEY_PREFIX + random[len(BENCHMARK_KEY_PREFIX) :]
        # Before anything is stored under it, so that an interruption leaves nothing.
        self.made.add(key)
        return key


@contextmanager
def namespaced(store: type[SessionBase]) -> Iterator[Any]:
    """That engine until the block ends, and then none of its sessions is left.

    That of files has a folder of its own, beside the sessions where it can be.
    """
    with ExitStack() as stack:
        attributes: dict[str, Any] = {"made": set()}
        if issubclass(store, DjangoFileStore):
            folder = Path(settings.SESSION_FILE_PATH or tempfile.gettempdir())
            own = tempfile.TemporaryDirectory(dir=folder if os.access(folder, os.W_OK) else None)
            attributes["_storage_path"] = stack.enter_context(own)
        apart = same_named_subclass(store, Namespaced, **attributes)
        stack.callback(remove, apart)
        yield apart


def remove(store: Any) -> None:
    """All that was stored: rows, and entries of a cache; files go with their folder.

    From the running engine's cache too: cached_db hears of each row that is deleted with
    signals, and leaves a tombstone for it. Raises StoreError where a store does not answer any
    more.
    """
    sessions: list[Any] = [store(), running_engine.store()()]
    caching = [session for session in sessions if hasattr(session, "_cache")]
    made = iter(store.made)
    while keys := list(islice(made, BATCH)):
        if hasattr(store, "get_model_class"):
            model = store.get_model_class()
            alias = router.db_for_write(model)
            rows = model._base_manager.using(alias).filter(session_key__in=keys)
            Table(model, alias).call(partial(rows._raw_delete, alias))
        for session in caching:
            for key in keys:
                adapter_for(session._cache).delete(session.cache_key_prefix + key)
