"""Coroutines of one request use its session concurrently: one load, and no write is lost."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from django.contrib.sessions.backends.base import UpdateError
from django.core.cache import caches
from django.db import connections

from tests.stores import before, steps_of

from .contract import Engine, kept, on_engines
from .test_overrides import made

on_ours = on_engines(lambda engine: engine.ours)

# Django loads files and signed cookies on the event loop itself, so no other coroutine interferes.
LOSING_WRITES = frozenset({"db", "cache", "cached_db"})


def stored_key(engine: Engine) -> str:
    session = engine.Store()
    session.update({"a": 1, "b": 2})
    session.save()
    return str(session.session_key)


def stored_data(engine: Engine, session: Any) -> dict[str, Any]:
    return dict(engine.Store(session.session_key).items())


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    """Run as under ASGI: on an event loop, with a thread of the request for sync code."""

    async def request() -> Any:
        async with ThreadSensitiveContext():
            try:
                return await main()
            finally:
                await sync_to_async(close_connections)()

    return asyncio.run(request())


def close_connections() -> None:
    connections.close_all()
    caches.close_all()


async def in_another_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    def work() -> Any:
        try:
            return function(*arguments)
        finally:
            close_connections()

    return await asyncio.to_thread(work)


def counting_store(engine: Engine, loads: list[int]) -> Any:
    """Return a subclass of the engine that records its loads, by the thread in which they run."""

    def load(self: Any) -> Any:
        loads.append(threading.get_ident())
        return super(store, self).load()

    store = made(engine, load=load)
    return store


STEPS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "aget": lambda session: session.aget("a"),
    "ahas_key": lambda session: session.ahas_key("a"),
    "akeys": lambda session: session.akeys(),
    "avalues": lambda session: session.avalues(),
    "aitems": lambda session: session.aitems(),
    "apop": lambda session: session.apop("b", None),
    "aset": lambda session: session.aset("c", 3),
    "aupdate": lambda session: session.aupdate({"d": 4}),
    "asetdefault": lambda session: session.asetdefault("e", 5),
    "aset_expiry": lambda session: session.aset_expiry(300),
    "aget_expiry_age": lambda session: session.aget_expiry_age(),
    "asave": lambda session: session.asave(),
    "a thread": lambda session: sync_to_async(session.get)("a"),
    "another thread": lambda session: in_another_thread(session.get, "a"),
    "a writing thread": lambda session: in_another_thread(session.update, {"f": 6}),
}


@pytest.mark.parametrize("first", STEPS)
def test_concurrent_writes_of_coroutines_are_all_stored(engine: Engine, first: str) -> None:
    key = stored_key(engine)
    other_steps = [step for name, step in STEPS.items() if name != first]
    if engine.djangos:
        # Django's engines are not made for several threads.
        other_steps = [step for step in other_steps if step not in THREAD_STEPS]

    async def main() -> Any:
        session = engine.Store(key)
        await asyncio.gather(*(step(session) for step in (STEPS[first], *other_steps)))
        await session.asave()
        return session

    if engine.djangos and STEPS[first] in THREAD_STEPS:
        pytest.skip("Django's engine is not for several threads.")
    session = run(main)
    data = stored_data(engine, session)
    expected = {"a": 1, "c": 3, "d": 4, "e": 5, "_session_expiry": 300}
    if not engine.djangos:
        expected["f"] = 6
    kept(engine, data == expected, data, LOSING_WRITES)


THREAD_STEPS = [STEPS[name] for name in ("a thread", "another thread", "a writing thread")]


@on_ours
@pytest.mark.parametrize("first", STEPS)
def test_concurrent_coroutines_load_the_session_once(engine: Engine, first: str) -> None:
    key, loads = stored_key(engine), list[int]()
    store = counting_store(engine, loads)

    async def main() -> None:
        session = store(key)
        await asyncio.gather(STEPS[first](session), *(step(session) for step in STEPS.values()))

    run(main)
    assert len(loads) == 1


@on_ours
def test_failed_load_raises_in_each_coroutine_and_is_retried(engine: Engine) -> None:
    key, fails = stored_key(engine), [True, False, False]
    attempts: list[bool] = []

    def load(self: Any) -> Any:
        attempts.append(fails[len(attempts)])
        if attempts[-1]:
            raise OSError("no answer")
        return super(store, self).load()

    store = made(engine, load=load)

    async def main() -> None:
        session = store(key)
        results = await asyncio.gather(
            session.aset("c", 3), session.aget("a"), session.apop("b"), return_exceptions=True
        )
        assert [type(result) for result in results] == [OSError] * 3
        assert attempts == [True]
        assert await session.aget("b") == 2

    run(main)
    assert attempts == [True, False]


@on_ours
def test_load_continues_if_its_first_coroutine_is_cancelled(engine: Engine) -> None:
    key, loads = stored_key(engine), list[int]()
    started, proceed = threading.Event(), threading.Event()

    def load(self: Any) -> Any:
        loads.append(1)
        started.set()
        assert proceed.wait(30)
        return super(store, self).load()

    store = made(engine, load=load)

    async def main() -> Any:
        session = store(key)
        first = asyncio.create_task(session.aget("a"))
        second = asyncio.create_task(session.aset("c", 3))
        await asyncio.to_thread(started.wait, 30)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        proceed.set()
        await second
        await session.asave()
        return session

    session = run(main)
    assert loads == [1]
    assert stored_data(engine, session) == {"a": 1, "b": 2, "c": 3}


@on_ours
def test_failed_load_of_a_cancelled_coroutine_logs_no_error(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    key = stored_key(engine)
    started, proceed = threading.Event(), threading.Event()
    errors: list[Any] = [OSError("no answer"), None]

    def load(self: Any) -> Any:
        started.set()
        assert proceed.wait(30)
        if error := errors.pop(0):
            raise error
        return super(store, self).load()

    store = made(engine, load=load)

    async def main() -> Any:
        session = store(key)
        cancelled = asyncio.create_task(session.aget("a"))
        await asyncio.to_thread(started.wait, 30)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        proceed.set()
        assert await sync_to_async(lambda: True)()
        while len(errors) > 1:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        return await session.aget("a")

    assert run(main) == 1
    assert "never retrieved" not in caplog.text


@on_ours
@pytest.mark.parametrize("step", ["clear", "aflush"])
def test_session_emptied_during_its_load_stays_empty(engine: Engine, step: str) -> None:
    key = stored_key(engine)
    started, proceed = threading.Event(), threading.Event()

    def load(self: Any) -> Any:
        started.set()
        assert proceed.wait(30)
        return super(store, self).load()

    store = made(engine, load=load)

    async def main() -> Any:
        session = store(key)
        reading = asyncio.create_task(session.aget("a"))
        await asyncio.to_thread(started.wait, 30)
        if step == "clear":
            session.clear()
            proceed.set()
        else:
            flushing = asyncio.create_task(session.aflush())
            await asyncio.sleep(0)
            proceed.set()
            await flushing
        assert await reading is None
        await session.aset("c", 3)
        await session.asave()
        return session

    session = run(main)
    assert stored_data(engine, session) == {"c": 3}
    if step == "aflush" and engine.on_server:
        assert session.session_key != key
        assert dict(engine.Store(key).items()) == {}


SLOW_STEPS = {
    "asave": lambda session: session.asave(),
    "aapply": lambda session: session.aapply("a", lambda number: number + 1),
    "acycle_key": lambda session: session.acycle_key(),
}


@on_engines(lambda engine: engine.ours and engine.on_server)
@pytest.mark.parametrize("step", SLOW_STEPS)
def test_write_during_a_slow_step_is_kept(engine: Engine, step: str) -> None:
    """Another request has written as well, so the step merges data into the session."""
    key = stored_key(engine)
    started, proceed = threading.Event(), threading.Event()

    def wait() -> None:
        started.set()
        assert proceed.wait(30)

    def write_concurrently() -> None:
        other = engine.Store(key)
        other["theirs"] = 1
        other.save()

    async def main() -> Any:
        session = engine.Store(key)
        await session.aset("mine", 1)
        await in_another_thread(write_concurrently)
        stack.enter_context(steps_of(engine.Store, put=before(wait), insert=before(wait)))
        slow = asyncio.create_task(SLOW_STEPS[step](session))
        await asyncio.to_thread(started.wait, 30)
        late = asyncio.create_task(session.aset("late", 1))
        for _turn in range(9):
            await asyncio.sleep(0)
        proceed.set()
        await asyncio.gather(slow, late)
        await session.asave()
        return session

    with ExitStack() as stack:
        session = run(main)
    data = stored_data(engine, session)
    assert data == {"a": 2 if step == "aapply" else 1, "b": 2, "mine": 1, "theirs": 1, "late": 1}


@on_engines(lambda engine: engine.on_server)
def test_concurrent_calls_of_aapply_all_count(engine: Engine) -> None:
    if engine.djangos:
        pytest.skip("Django's engines have no apply.")
    key = stored_key(engine)

    async def main() -> None:
        session = engine.Store(key)
        steps = [session.aapply("a", lambda number: number + 1) for _time in range(9)]
        await asyncio.gather(*steps, session.aset("c", 3))
        await session.asave()

    run(main)
    assert dict(engine.Store(key).items()) == {"a": 10, "b": 2, "c": 3}


@on_engines(lambda engine: engine.ours and engine.on_server)
def test_concurrent_calls_of_acycle_key_leave_one_session(engine: Engine) -> None:
    key = stored_key(engine)

    async def main() -> Any:
        session = engine.Store(key)
        await asyncio.gather(session.acycle_key(), session.aset("c", 3), session.acycle_key())
        await session.asave()
        return session

    session = run(main)
    assert session.session_key != key
    assert stored_data(engine, session) == {"a": 1, "b": 2, "c": 3}
    assert dict(engine.Store(key).items()) == {}


@on_engines(lambda engine: engine.ours and engine.on_server)
def test_flush_during_a_save_ends_the_session(engine: Engine) -> None:
    key = stored_key(engine)

    async def main() -> None:
        session = engine.Store(key)
        results = await asyncio.gather(
            session.aset("c", 3), session.asave(), session.aflush(), return_exceptions=True
        )
        assert all(result is None or isinstance(result, UpdateError) for result in results)

    run(main)
    assert dict(engine.Store(key).items()) == {}


@on_ours
@pytest.mark.parametrize("half", ["aload", "_aget_session"])
def test_subclass_that_overrides_an_async_method_is_loaded_once(engine: Engine, half: str) -> None:
    key, called = stored_key(engine), list[str]()

    async def override(self: Any, *arguments: Any) -> Any:
        called.append(half)
        return await getattr(super(store, self), half)(*arguments)

    store = made(engine, **{half: override})

    async def main() -> Any:
        session = store(key)
        await asyncio.gather(session.aset("c", 3), session.aget("a"), session.aset("d", 4))
        await session.asave()
        return session

    session = run(main)
    assert called.count("aload") in {0, 1}
    assert called
    assert stored_data(engine, session) == {"a": 1, "b": 2, "c": 3, "d": 4}


@on_ours
def test_session_is_used_on_consecutive_event_loops(engine: Engine) -> None:
    """As in a sync view that calls async code several times."""
    session = engine.Store(stored_key(engine))
    assert async_to_sync(session.aget)("a") == 1
    async_to_sync(session.aset)("c", 3)
    async_to_sync(session.asave)()
    assert stored_data(engine, session) == {"a": 1, "b": 2, "c": 3}
