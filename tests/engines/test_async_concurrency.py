"""Several coroutines of one request that use its session at once: one load, and no write lost."""

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

# Signed cookies and files Django loads on the event loop itself, where nothing comes between.
LOSING = frozenset({"db", "cache", "cached_db"})


def stored(engine: Engine) -> str:
    session = engine.Store()
    session.update({"a": 1, "b": 2})
    session.save()
    return str(session.session_key)


def opened(engine: Engine, session: Any) -> dict[str, Any]:
    return dict(engine.Store(session.session_key).items())


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    """As under ASGI: on an event loop, with all that waits in a thread of the request's own."""

    async def request() -> Any:
        async with ThreadSensitiveContext():
            try:
                return await main()
            finally:
                await sync_to_async(close)()

    return asyncio.run(request())


def close() -> None:
    connections.close_all()
    caches.close_all()


async def in_another_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    def work() -> Any:
        try:
            return function(*arguments)
        finally:
            close()

    return await asyncio.to_thread(work)


def counted(engine: Engine, loads: list[int]) -> Any:
    """A store whose loads are counted, by the thread in which they run."""

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
def test_what_is_set_at_once_is_all_stored(engine: Engine, first: str) -> None:
    key = stored(engine)
    others = [step for name, step in STEPS.items() if name != first]
    if engine.djangos:
        # Which says so itself, for rows: only what it promises to bear.
        others = [step for step in others if step not in THREADS]

    async def main() -> Any:
        session = engine.Store(key)
        await asyncio.gather(*(step(session) for step in (STEPS[first], *others)))
        await session.asave()
        return session

    if engine.djangos and STEPS[first] in THREADS:
        pytest.skip("Django's engine is not for several threads.")
    session = run(main)
    data = opened(engine, session)
    expected = {"a": 1, "c": 3, "d": 4, "e": 5, "_session_expiry": 300}
    if not engine.djangos:
        expected["f"] = 6
    kept(engine, data == expected, data, LOSING)


THREADS = [STEPS[name] for name in ("a thread", "another thread", "a writing thread")]


@on_ours
@pytest.mark.parametrize("first", STEPS)
def test_it_is_loaded_once(engine: Engine, first: str) -> None:
    key, loads = stored(engine), list[int]()
    store = counted(engine, loads)

    async def main() -> None:
        session = store(key)
        await asyncio.gather(STEPS[first](session), *(step(session) for step in STEPS.values()))

    run(main)
    assert len(loads) == 1


@on_ours
def test_a_load_that_fails_is_an_error_to_each_and_the_next_tries_again(engine: Engine) -> None:
    key, fails = stored(engine), [True, False, False]
    attempts: list[bool] = []

    def load(self: Any) -> Any:
        attempts.append(fails[len(attempts)])
        if attempts[-1]:
            raise OSError("no answer")
        return super(store, self).load()

    store = made(engine, load=load)

    async def main() -> None:
        session = store(key)
        answers = await asyncio.gather(
            session.aset("c", 3), session.aget("a"), session.apop("b"), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [OSError] * 3
        assert attempts == [True]
        assert await session.aget("b") == 2

    run(main)
    assert attempts == [True, False]


@on_ours
def test_it_goes_on_where_the_first_is_cancelled(engine: Engine) -> None:
    key, loads = stored(engine), list[int]()
    began, go_on = threading.Event(), threading.Event()

    def load(self: Any) -> Any:
        loads.append(1)
        began.set()
        assert go_on.wait(30)
        return super(store, self).load()

    store = made(engine, load=load)

    async def main() -> Any:
        session = store(key)
        first = asyncio.create_task(session.aget("a"))
        second = asyncio.create_task(session.aset("c", 3))
        await asyncio.to_thread(began.wait, 30)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        go_on.set()
        await second
        await session.asave()
        return session

    session = run(main)
    assert loads == [1]
    assert opened(engine, session) == {"a": 1, "b": 2, "c": 3}


@on_ours
def test_nor_is_anything_left_behind_where_all_are_cancelled(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    key = stored(engine)
    began, go_on = threading.Event(), threading.Event()
    answers: list[Any] = [OSError("no answer"), None]

    def load(self: Any) -> Any:
        began.set()
        assert go_on.wait(30)
        if error := answers.pop(0):
            raise error
        return super(store, self).load()

    store = made(engine, load=load)

    async def main() -> Any:
        session = store(key)
        only = asyncio.create_task(session.aget("a"))
        await asyncio.to_thread(began.wait, 30)
        only.cancel()
        with pytest.raises(asyncio.CancelledError):
            await only
        go_on.set()
        assert await sync_to_async(lambda: True)()
        while len(answers) > 1:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        return await session.aget("a")

    assert run(main) == 1
    assert "never retrieved" not in caplog.text


@on_ours
@pytest.mark.parametrize("step", ["clear", "aflush"])
def test_what_was_emptied_while_it_was_loaded_stays_empty(engine: Engine, step: str) -> None:
    key = stored(engine)
    began, go_on = threading.Event(), threading.Event()

    def load(self: Any) -> Any:
        began.set()
        assert go_on.wait(30)
        return super(store, self).load()

    store = made(engine, load=load)

    async def main() -> Any:
        session = store(key)
        reading = asyncio.create_task(session.aget("a"))
        await asyncio.to_thread(began.wait, 30)
        if step == "clear":
            session.clear()
            go_on.set()
        else:
            flushing = asyncio.create_task(session.aflush())
            await asyncio.sleep(0)
            go_on.set()
            await flushing
        assert await reading is None
        await session.aset("c", 3)
        await session.asave()
        return session

    session = run(main)
    assert opened(engine, session) == {"c": 3}
    if step == "aflush" and engine.on_server:
        assert session.session_key != key
        assert dict(engine.Store(key).items()) == {}


SLOW = {
    "asave": lambda session: session.asave(),
    "aapply": lambda session: session.aapply("a", lambda number: number + 1),
    "acycle_key": lambda session: session.acycle_key(),
}


@on_engines(lambda engine: engine.ours and engine.on_server)
@pytest.mark.parametrize("step", SLOW)
def test_what_is_set_while_a_step_is_under_way_is_kept(engine: Engine, step: str) -> None:
    """Another request has written too, so that the step changes the data itself."""
    key = stored(engine)
    began, go_on = threading.Event(), threading.Event()

    def stop() -> None:
        began.set()
        assert go_on.wait(30)

    def writes_theirs() -> None:
        other = engine.Store(key)
        other["theirs"] = 1
        other.save()

    async def main() -> Any:
        session = engine.Store(key)
        await session.aset("mine", 1)
        await in_another_thread(writes_theirs)
        stack.enter_context(steps_of(engine.Store, put=before(stop), insert=before(stop)))
        slow = asyncio.create_task(SLOW[step](session))
        await asyncio.to_thread(began.wait, 30)
        late = asyncio.create_task(session.aset("late", 1))
        for _turn in range(9):
            await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(slow, late)
        await session.asave()
        return session

    with ExitStack() as stack:
        session = run(main)
    data = opened(engine, session)
    assert data == {"a": 2 if step == "aapply" else 1, "b": 2, "mine": 1, "theirs": 1, "late": 1}


@on_engines(lambda engine: engine.on_server)
def test_several_applications_at_once_all_count(engine: Engine) -> None:
    if engine.djangos:
        pytest.skip("It has none.")
    key = stored(engine)

    async def main() -> None:
        session = engine.Store(key)
        steps = [session.aapply("a", lambda number: number + 1) for _time in range(9)]
        await asyncio.gather(*steps, session.aset("c", 3))
        await session.asave()

    run(main)
    assert dict(engine.Store(key).items()) == {"a": 10, "b": 2, "c": 3}


@on_engines(lambda engine: engine.ours and engine.on_server)
def test_several_new_keys_at_once_leave_one(engine: Engine) -> None:
    key = stored(engine)

    async def main() -> Any:
        session = engine.Store(key)
        await asyncio.gather(session.acycle_key(), session.aset("c", 3), session.acycle_key())
        await session.asave()
        return session

    session = run(main)
    assert session.session_key != key
    assert opened(engine, session) == {"a": 1, "b": 2, "c": 3}
    assert dict(engine.Store(key).items()) == {}


@on_engines(lambda engine: engine.ours and engine.on_server)
def test_a_flush_at_once_with_a_save_ends_it(engine: Engine) -> None:
    key = stored(engine)

    async def main() -> None:
        session = engine.Store(key)
        answers = await asyncio.gather(
            session.aset("c", 3), session.asave(), session.aflush(), return_exceptions=True
        )
        assert all(answer is None or isinstance(answer, UpdateError) for answer in answers)

    run(main)
    assert dict(engine.Store(key).items()) == {}


@on_ours
@pytest.mark.parametrize("half", ["aload", "_aget_session"])
def test_a_store_with_an_async_half_of_its_own(engine: Engine, half: str) -> None:
    key, called = stored(engine), list[str]()

    async def own(self: Any, *arguments: Any) -> Any:
        called.append(half)
        return await getattr(super(store, self), half)(*arguments)

    store = made(engine, **{half: own})

    async def main() -> Any:
        session = store(key)
        await asyncio.gather(session.aset("c", 3), session.aget("a"), session.aset("d", 4))
        await session.asave()
        return session

    session = run(main)
    assert called.count("aload") in {0, 1}
    assert called
    assert opened(engine, session) == {"a": 1, "b": 2, "c": 3, "d": 4}


@on_ours
def test_on_one_event_loop_after_the_other(engine: Engine) -> None:
    """As in a sync view that calls async code, several times."""
    session = engine.Store(stored(engine))
    assert async_to_sync(session.aget)("a") == 1
    async_to_sync(session.aset)("c", 3)
    async_to_sync(session.asave)()
    assert opened(engine, session) == {"a": 1, "b": 2, "c": 3}
