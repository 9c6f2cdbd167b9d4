"""Engines whose sessions are kept apart from the site's, and deleted in the end."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
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
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.sql_statements import Table

# Rows that one statement deletes.
ROWS_PER_DELETE = 500


class Namespaced(SessionBase):
    """An engine whose session keys begin with BENCHMARK_KEY_PREFIX, and are remembered."""

    created_keys: set[str]

    def _get_new_session_key(self) -> str:
        random: str = super()._get_new_session_key()  # type: ignore[misc]
        key = BENCHMARK_KEY_PREFIX + random[len(BENCHMARK_KEY_PREFIX) :]
        # Remembered before a session is stored under it, so that an interruption leaves none.
        self.created_keys.add(key)
        return key


@contextmanager
def namespaced(session_class: type[SessionBase]) -> Iterator[Any]:
    """Yield that engine with its own namespace. At the end of the block all its sessions go.

    The file engine gets a folder of its own, inside SESSION_FILE_PATH if that can be written.
    """
    with ExitStack() as stack:
        attributes: dict[str, Any] = {"created_keys": set()}
        if issubclass(session_class, DjangoFileStore):
            folder = Path(settings.SESSION_FILE_PATH or tempfile.gettempdir())
            own = tempfile.TemporaryDirectory(dir=folder if os.access(folder, os.W_OK) else None)
            attributes["_storage_path"] = stack.enter_context(own)
        engine = same_named_subclass(session_class, Namespaced, **attributes)
        stack.callback(remove_sessions, engine)
        yield engine


def remove_sessions(engine: Any) -> None:
    """Delete the rows, cache entries and documents of all sessions that the engine created.

    Files go with their folder. The entries go from the running engine's cache too: if that is
    cached_db, the deletion of a row sends it a signal, and it leaves a tombstone. If only that
    cache is unreachable, this is no failure of the engine. Raises StoreError if a store of the
    engine does not answer.
    """
    if not engine.created_keys:
        return
    own_session: Any = engine()
    sessions: list[Any] = [own_session, running_engine.store()()]
    cached = [session for session in sessions if hasattr(session, "_cache")]
    created_keys = iter(engine.created_keys)
    while keys := list(islice(created_keys, ROWS_PER_DELETE)):
        if hasattr(engine, "get_model_class"):
            model = engine.get_model_class()
            alias = router.db_for_write(model)
            rows = model._base_manager.using(alias).filter(session_key__in=keys)
            Table(model, alias).call(partial(rows._raw_delete, alias))
        elif own_session not in cached:
            for key in keys:
                own_session.delete(key)
        for session in cached:
            with suppress(*([] if session is own_session else [StoreUnavailableError])):
                for key in keys:
                    adapter_for(session._cache).delete(session.cache_key_prefix + key)
