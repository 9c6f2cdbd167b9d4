"""The async half of the engines' interface."""

import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.sessions.backends.base import SessionBase

from .merge import Data
from .subclass_hooks import is_ours_or_djangos, overrides

# Whether what runs now was called by its async half.
_called_async: ContextVar[bool] = ContextVar("called_async", default=False)


# What is under way, not in the session itself, which can be copied: the lock under which it is
# loaded; for the event loop its loading, and whatever else is done to it in a thread.
_locks: WeakKeyDictionary[SessionBase, threading.RLock] = WeakKeyDictionary()
_loads: WeakKeyDictionary[SessionBase, asyncio.Future[Data]] = WeakKeyDictionary()
_steps: WeakKeyDictionary[SessionBase, set[asyncio.Future[None]]] = WeakKeyDictionary()


Future = TypeVar("Future", bound=asyncio.Future[Any])


def running_here(future: Future | None) -> Future | None:
    """That, unless it is over or another event loop's, which may have stopped."""
    if future is None or future.done() or future.get_loop() is not asyncio.get_running_loop():
        return None
    return future


def async_half(name: str) -> str:
    """The name of that method's: ``asave``, ``_aget_new_session_key``."""
    return f"_a{name[1:]}" if name.startswith("_") else f"a{name}"


def in_thread(name: str) -> Any:
    """The async half of that method."""

    async def half(self: Any, *arguments: Any, **options: Any) -> Any:
        return await self._in_thread(name, *arguments, **options)

    return half


class AsyncMixin(SessionBase):
    """The ``a…`` methods as wrappers of the others, before those that Django's engines have.

    Django's engines implement them a second time, so that an engine which overrides
    ``load`` alone would be gone round by ``aload``. Each runs in a thread: nothing here
    blocks the event loop.

    A subclass may override either half, or both: then one that is called is not called
    by the other as well.

    However many ask at once for a session that is not loaded yet, it is loaded once.
    """

    if TYPE_CHECKING:
        _session_cache: Data

    # Another object since each ``clear``: what is still being loaded then comes too late.
    _emptied: object = None

    def _get_session(self, no_load: bool = False) -> Data:
        self.accessed = True
        try:
            return self._session_cache
        except AttributeError:
            pass
        with _locks.setdefault(self, threading.RLock()):
            if not hasattr(self, "_session_cache"):
                before = self._emptied
                data = {} if no_load or self.session_key is None else self.load()
                if self._emptied is before:
                    self._session_cache = data
        return self._session_cache

    # Django's goes by Django's method alone.
    _session = property(_get_session)

    async def _aget_session(self, no_load: bool = False) -> Data:
        """The data once no step is under way that could change it, or does not want it changed.

        Whoever asks while it is loaded gets the same answer, the error of a store too. Loading
        goes on where one of them is cancelled, even the first.
        """
        self.accessed = True
        if _called_async.get():
            # This is part of a step, and for that everybody else waits.
            return await self._aload_session(no_load)
        while not (load := running_here(_loads.get(self))) and (
            steps := [step for step in _steps.get(self, ()) if running_here(step)]
        ):
            await asyncio.wait(steps)
        if load is None:
            if no_load or hasattr(self, "_session_cache"):
                return AsyncMixin._get_session(self, no_load)
            load = _loads[self] = asyncio.ensure_future(self._aload_session())
            load.add_done_callback(self._end_load)
        return await asyncio.shield(load)

    def _end_load(self, load: asyncio.Future[Data]) -> None:
        if _loads.get(self) is load:
            del _loads[self]
        if not load.cancelled():
            # Where nobody waits any more, nobody is to miss the error.
            load.exception()

    async def _aload_session(self, no_load: bool = False) -> Data:
        if no_load or hasattr(self, "_session_cache"):
            return AsyncMixin._get_session(self, no_load)
        if not overrides(type(self), "aload", "_aget_session_from_db"):
            data: Data = await self._in_thread("_get_session")
            return data
        # On this event loop, so not under a lock that it could be made to wait for.
        before = self._emptied
        data = await self.aload() if self.session_key else {}
        if self._emptied is before:
            self._session_cache = data
        return self._session_cache

    def clear(self) -> None:
        self._emptied = object()
        super().clear()

    acreate = in_thread("create")
    adelete = in_thread("delete")
    aexists = in_thread("exists")
    aget_expiry_age = in_thread("get_expiry_age")
    aget_expiry_date = in_thread("get_expiry_date")
    aload = in_thread("load")
    # The function is a plain one, no coroutine: it runs in the thread too.
    aapply = in_thread("apply")

    async def asave(self, must_create: bool = False) -> None:
        if not must_create:
            await self._aget_session()
        await self._in_thread("save", must_create)

    async def aflush(self) -> None:
        if overrides(type(self), "flush"):
            await self._in_thread("flush")
        else:
            await super().aflush()

    async def acycle_key(self) -> None:
        await self._aget_session()
        await self._in_thread("cycle_key")

    async def adelete_test_cookie(self) -> None:
        await self.apop(self.TEST_COOKIE_NAME)

    @classmethod
    async def aclear_expired(cls, **options: Any) -> int:  # type: ignore[override]
        clear_expired: Any = sync_to_async(cls.clear_expired)
        return await clear_expired(**options)  # type: ignore[no-any-return]

    async def _in_thread(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Call the sync half of the method from which this is called."""
        mine = [
            owner
            for owner in type(self).__mro__
            if async_half(name) in vars(owner) and not is_ours_or_djangos(owner)
        ]
        # A class that has an async half of its own, and has called this, goes by that alone.
        sync_half = getattr(super(mine[-1], self) if mine else self, name)
        token = _called_async.set(True)
        step = asyncio.get_running_loop().create_future()
        _steps.setdefault(self, set()).add(step)
        try:
            return await sync_to_async(sync_half)(*arguments, **options)
        finally:
            _called_async.reset(token)
            step.set_result(None)
            _steps[self].discard(step)

    def _overridden(self, name: str) -> Callable[..., Any]:
        """That method; in the async half its async half, if a subclass has one."""
        if _called_async.get() and overrides(type(self), async_half(name)):
            return async_to_sync(getattr(self, async_half(name)))
        method: Callable[..., Any] = getattr(self, name)
        return method
