"""The async methods of a session call its store in threads, never on the event loop."""

import asyncio
import threading
from typing import Any

from asgiref.sync import sync_to_async
from django.core.cache import caches
from django.db import connections

from tests.stores import before, steps_of

from .contract import Engine, on_engines

pytestmark = on_engines(lambda engine: engine.ours and engine.on_server)

STEPS = ("load", "refresh", "insert", "put", "compare_and_delete", "delete", "clear", "exists")


async def call_all_async_methods(store: Any) -> None:
    session = store()
    await session.aset("a", 1)
    await session.asave()
    assert await session.aexists(session.session_key)
    await store(session.session_key).asave()
    again = store(session.session_key)
    assert await again.aget("a") == 1
    await again.aset("b", 2)
    await again.asave()
    assert await again.aapply("a", lambda number: number + 1) == 2
    await again.acycle_key()
    await again.asave()
    await again.aload()
    await again.aflush()
    await again.acreate()
    await again.adelete()
    await store.aclear_expired()


def test_async_methods_call_the_store_in_threads(engine: Engine) -> None:
    loop_threads: list[int] = []
    threads: dict[str, set[int]] = {name: set() for name in STEPS}

    def record_thread(name: str) -> Any:
        return before(lambda: threads[name].add(threading.get_ident()))

    async def main() -> None:
        loop_threads.append(threading.get_ident())
        try:
            await call_all_async_methods(engine.Store)
        finally:
            await sync_to_async(connections.close_all)()
            await sync_to_async(caches.close_all)()

    with steps_of(engine.Store, **{name: record_thread(name) for name in STEPS}):
        asyncio.run(main())
    assert all(threads.values()), threads
    assert not set.union(*threads.values()) & set(loop_threads)
