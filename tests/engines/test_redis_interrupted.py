"""A command to Redis is interrupted anywhere, or another one is run within it, in one thread.

Whatever happens, each session is read with its own data: no answer is taken for that of another
command. A late answer would not be noticed before the next command is sent, so here no connection
ever notices one.
"""

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any
from unittest import mock

import pytest
from redis import Connection
from redis.exceptions import TimeoutError as RedisTimeoutError

from cookieproj.engines.cache import SessionStore
from cookieproj.engines.caches import redis_direct
from cookieproj.engines.exceptions import StoreError

from .test_redis_commands import create_session
from .test_redis_direct import Use, use

__all__ = ["use"]

# Parts of the paths of the code that is interrupted: ours, and redis-py's.
CODE = ("caches/redis_direct.py", "caches/redis_pool.py", "/redis/")

NAMES = ["a", "b", "c"]
# Of a command; there are more.
FEWEST_LINES = 20

INTERRUPTS = [
    KeyboardInterrupt,
    TimeoutError,
    RedisTimeoutError,
]


@contextmanager
def at_lines(act: Callable[[], object], *numbers: int) -> Iterator[list[int]]:
    """Call ``act`` before the line that runs as the first of these numbers, then as the next, ...

    Each number counts from the line before. Yields those that are left.
    """
    left = list(numbers)

    def trace(frame: Any, event: str, _argument: Any) -> Any:
        if not any(part in frame.f_code.co_filename for part in CODE):
            return None
        if event == "line" and left:
            left[0] -= 1
            if left[0] < 0:
                left.pop(0)
                act()
        return trace

    # Coverage may be traced.
    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        yield left
    finally:
        sys.settrace(previous)


@pytest.fixture(params=["direct", "client"])
def way(
    request: pytest.FixtureRequest, use: Use, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """How commands are sent: past redis-py's client, or through it."""
    way: str = request.param
    # A pool loses the connection that it is about to return when it is interrupted.
    use(redis_url, CONNECTION_POOL_KWARGS={"max_connections": 100_000})
    if way == "client":
        monkeypatch.setattr(redis_direct, "IS_KNOWN_VERSION", False)
    # What is raised in a finalizer that runs at that line is lost, and would be a warning.
    gc.collect()
    gc.disable()
    try:
        with mock.patch.object(Connection, "can_read", return_value=False):
            yield way
    finally:
        gc.enable()


@pytest.fixture
def keys(way: str) -> list[str]:
    return [create_session(name=name, n=0) for name in NAMES]


def names(keys: list[str]) -> list[str]:
    return [SessionStore(key)["name"] for key in keys]


def read(key: str) -> object:
    return SessionStore(key)["name"]


def change(key: str) -> object:
    session = SessionStore(key)
    session["n"] += 1
    session.save()
    return session["name"]


@pytest.mark.parametrize("act", [read, change])
@pytest.mark.parametrize("interrupt", INTERRUPTS)
def test_no_answer_is_another_sessions_after_an_interrupt(
    way: str, keys: list[str], act: Callable[[str], object], interrupt: type[BaseException]
) -> None:
    def raise_interrupt() -> None:
        raise interrupt

    for number in count():
        with suppress(interrupt, StoreError), at_lines(raise_interrupt, number) as left:
            act(keys[0])
        assert names(keys[1:]) == NAMES[1:]
        assert names(keys) == NAMES
        if left:
            break
    assert number > FEWEST_LINES


def test_no_answer_is_another_sessions_after_two_interrupts(keys: list[str]) -> None:
    """The second one interrupts what is done because of the first."""

    def raise_interrupt() -> None:
        raise KeyboardInterrupt

    for number in count():
        for next_number in range(0, 30, 7):
            with (
                suppress(KeyboardInterrupt, StoreError),
                at_lines(raise_interrupt, number, next_number) as left,
            ):
                read(keys[0])
            assert names(keys[1:]) == NAMES[1:]
        if len(left) > 1:
            break
    assert number > FEWEST_LINES


@pytest.mark.parametrize("act", [read, change])
def test_no_answer_is_another_sessions_if_one_is_read_within(
    keys: list[str], act: Callable[[str], object]
) -> None:
    """By a signal handler, a finalizer, or a generator."""
    read_within: list[object] = []
    for number in count():
        read_within.clear()
        with at_lines(lambda: read_within.extend(names(keys[1:])), number) as left:
            assert act(keys[0]) == NAMES[0]
        assert names(keys) == NAMES
        if left:
            break
        assert read_within == NAMES[1:]
    assert number > FEWEST_LINES
