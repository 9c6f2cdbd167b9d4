"""The async methods of the engines: each runs its sync counterpart in a thread."""

import asyncio
import copy
from _thread import RLock
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.sessions.backends.base import SessionBase

from .admission import Admission
from .merge import Data
from .subclass_hooks import is_ours_or_djangos, overrides

# Whether the running code was called through an async method.
_called_async: ContextVar[bool] = ContextVar("called_async", default=False)


# What is in progress for each session. It is kept outside of the session, which can be copied.
# ``_locks``: held while the session is loaded. ``_loads``: its load on an event loop. ``_steps``:
# its methods that run in threads.
_locks: WeakKeyDictionary[SessionBase, RLock] = WeakKeyDictionary()
_loads: WeakKeyDictionary[SessionBase, asyncio.Future[Data]] = WeakKeyDictionary()
_steps: WeakKeyDictionary[SessionBase, set[asyncio.Future[None]]] = WeakKeyDictionary()


Future = TypeVar("Future", bound=asyncio.Future[Any])


def running_here(future: Future | None) -> Future | None:
    """Return the future if it is pending on the running event loop, else None.

    A future of another event loop may never end, as that loop may have stopped.
    """
    if future is None or future.done() or future.get_loop() is not asyncio.get_running_loop():
        return None
    return future


def async_half(name: str) -> str:
    """Return the name of that method's async half: ``asave``, ``_aget_new_session_key``."""
    return f"_a{name[1:]}" if name.startswith("_") else f"a{name}"


def in_thread(name: str) -> Any:
    """Return an async method that runs the sync method of that name in a thread."""

    async def half(self: Any, *arguments: Any, **options: Any) -> Any:
        return await self._in_thread(name, *arguments, **options)

    return half


def is_on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class AsyncMixin(SessionBase):
    """The async methods (``a…``) as wrappers of the sync ones, replacing those of Django's engines.

    Django's engines implement them separately, so there ``aload`` bypasses a subclass that
    overrides ``load`` alone. Here each calls its sync half in a thread, so nothing blocks the event
    loop.

    A subclass may override either half or both. If it overrides both, the half that is called does
    not call the other.

    A session is loaded once, however many callers ask for it concurrently.
    """

    if TYPE_CHECKING:
        _session_cache: Data

    # Whether the request may open this session. None, as outside of a request: it may.
    admission: Admission | None = None

    # Whether the session was emptied before the admission was asked.
    _is_unasked = False

    # Replaced by each ``clear``: a load that began before does not bring back what was cleared.
    _emptied: object = None

    def _get_session(self, no_load: bool = False) -> Data:
        self.accessed = True
        if self._is_unasked and not is_on_event_loop():
            self._ask_admission()
        try:
            return self._session_cache
        except AttributeError:
            pass
        with _locks.setdefault(self, RLock()):
            if not hasattr(self, "_session_cache"):
                emptied_before = self._emptied
                self._is_unasked = no_load and self._may_be_refused()
                data = {} if no_load or self.session_key is None else self.load()
                if self.admission is not None:
                    data = self._admitted(data)
                if self._emptied is emptied_before:
                    self._session_cache = data
        return self._session_cache

    def _may_be_refused(self) -> bool:
        return self.admission is not None and self.session_key is not None

    def _admitted(self, data: Data) -> Data:
        """Return the loaded data, or {} if the request may not open the session: it gets a new one.

        The session that the key opens stays as it is.
        """
        if self._admits(data):
            return data
        save_follows = vars(self).get("save_follows", False)
        vars(self).clear()
        type(self).__init__(self)
        self.accessed = True
        if save_follows:
            self.save_follows = True
        return {}

    def _admits(self, data: Data | None) -> bool:
        return not data or self.admission is None or self.admission(data)

    def _ensure_admitted(self) -> None:
        """Ask whether the request may open the session, unless that is done.

        This comes before each step that reads or changes what is stored. If the request is refused,
        this is a new session from then on.
        """
        if self._is_unasked:
            self._ask_admission()
        elif self.admission is not None and not hasattr(self, "_session_cache"):
            self._get_session()

    def _ensure_admitted_to_replace(self) -> None:
        """The same for a session that is replaced by a new one: what is stored is not kept."""
        if self.admission is not None:
            self._get_session(no_load=True)
            self._ensure_admitted()

    def _ask_admission(self) -> None:
        """Ask about a session that was emptied unread. What was put into it since then stays."""
        with _locks.setdefault(self, RLock()):
            if not self._is_unasked:
                return
            # A copy loads it, as this changes more than the data.
            stored = copy.copy(self)
            stored._is_unasked = False
            data, ours, was_modified = stored.load(), self._session_cache, self.modified
            self._is_unasked = False
            self._admitted(data)
            self._session_cache, self.modified = ours, was_modified

    # Django's property calls Django's method, whatever a subclass overrides.
    _session = property(_get_session)

    async def _aget_session(self, no_load: bool = False) -> Data:
        """Return the data once no other step that could change it is in progress.

        Callers that ask during a load share its result, including an error of the store. The load
        continues if a caller is cancelled, even the first one.
        """
        self.accessed = True
        if _called_async.get():
            # This is part of a step: others wait for that step, so it must not wait for them.
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
            # Retrieve the error: asyncio logs one that no caller has retrieved, if all were
            # cancelled.
            load.exception()

    async def _aload_session(self, no_load: bool = False) -> Data:
        if no_load or hasattr(self, "_session_cache"):
            return AsyncMixin._get_session(self, no_load)
        if not overrides(type(self), "aload", "_aget_session_from_db"):
            data: Data = await self._in_thread("_get_session")
            return data
        # This runs on the event loop, which must not block, so it takes no lock.
        emptied_before = self._emptied
        data = self._admitted(await self.aload()) if self.session_key else {}
        if self._emptied is emptied_before:
            self._session_cache = data
        return self._session_cache

    def clear(self) -> None:
        if not is_on_event_loop():
            self._ensure_admitted()
        elif not hasattr(self, "_session_cache"):
            # An event loop must not block: the next step that may asks.
            self._is_unasked = self._may_be_refused()
        self._emptied = object()
        super().clear()

    acreate = in_thread("create")
    adelete = in_thread("delete")
    aexists = in_thread("exists")
    aget_expiry_age = in_thread("get_expiry_age")
    aget_expiry_date = in_thread("get_expiry_date")
    aload = in_thread("load")
    # The function given to ``aapply`` is a plain one, not a coroutine: it runs in the thread too.
    aapply = in_thread("apply")

    async def asave(self, must_create: bool = False) -> None:
        if not must_create:
            await self._aget_session()
        await self._in_thread("save", must_create)

    async def aflush(self) -> None:
        if self.admission is not None:
            await self._aget_session()
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
        """Call the sync half of the async method that calls this, in a thread."""
        overriding = [
            owner
            for owner in type(self).__mro__
            if async_half(name) in vars(owner) and not is_ours_or_djangos(owner)
        ]
        # If a subclass overrides the async half and calls it by super(), its sync half is bypassed.
        sync_half = getattr(super(overriding[-1], self) if overriding else self, name)
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
        """Return that method; within an async call, its async half if a subclass overrides that."""
        if _called_async.get() and overrides(type(self), async_half(name)):
            return async_to_sync(getattr(self, async_half(name)))
        method: Callable[..., Any] = getattr(self, name)
        return method
