"""The async half of the engines' interface."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.sessions.backends.base import SessionBase

from .apply import NOT_GIVEN
from .hooks import is_known, overrides

# Whether what runs now was called by its async half.
_called_async: ContextVar[bool] = ContextVar("called_async", default=False)


def async_half(name: str) -> str:
    """The name of that method's: ``asave``, ``_aget_new_session_key``."""
    return f"_a{name[1:]}" if name.startswith("_") else f"a{name}"


class Async(SessionBase):
    """The ``a…`` methods as wrappers of the others, before those that Django's engines have.

    Django's engines implement them a second time, so that an engine which overrides
    ``load`` alone would be gone round by ``aload``. Each runs in a thread: nothing here
    blocks the event loop.

    A subclass may override either half, or both: then one that is called is not called
    by the other as well.
    """

    if TYPE_CHECKING:
        _aget_session: Callable[..., Awaitable[dict[str, Any]]]

    async def aexists(self, session_key: Any) -> bool:
        return bool(await self._in_thread("exists", session_key))

    async def acreate(self) -> None:
        await self._in_thread("create")

    async def asave(self, must_create: bool = False) -> None:
        if not must_create:
            await self._aget_session()
        await self._in_thread("save", must_create)

    async def adelete(self, session_key: Any = None) -> None:
        await self._in_thread("delete", session_key)

    async def aload(self) -> dict[str, Any]:
        data: dict[str, Any] = await self._in_thread("load")
        return data

    async def aapply(
        self, key: str, function: Callable[[Any], Any], default: Any = NOT_GIVEN
    ) -> Any:
        """The function is a plain one, no coroutine: it runs in the thread too."""
        apply: Any = self.apply  # type: ignore[attr-defined]
        return await sync_to_async(apply)(key, function, default)

    async def aflush(self) -> None:
        if overrides(type(self), "flush"):
            await self._in_thread("flush")
        else:
            await super().aflush()

    async def acycle_key(self) -> None:
        await self._aget_session()
        await self._in_thread("cycle_key")

    async def aget_expiry_age(self, **kwargs: Any) -> int:
        return int(await self._in_thread("get_expiry_age", **kwargs))

    async def aget_expiry_date(self, **kwargs: Any) -> datetime:
        date: datetime = await self._in_thread("get_expiry_date", **kwargs)
        return date

    async def adelete_test_cookie(self) -> None:
        await self.apop(self.TEST_COOKIE_NAME)

    @classmethod
    async def aclear_expired(cls, **options: Any) -> int:  # type: ignore[override]
        clear_expired: Any = cls.clear_expired
        cleared: int = await sync_to_async(clear_expired)(**options)
        return cleared

    async def _in_thread(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Call the sync half of the method from which this is called."""
        mine = [
            owner
            for owner in type(self).__mro__
            if async_half(name) in vars(owner) and not is_known(owner)
        ]
        # A class that has an async half of its own, and has called this, goes by that alone.
        sync_half = getattr(super(mine[-1], self) if mine else self, name)
        token = _called_async.set(True)
        try:
            return await sync_to_async(sync_half)(*arguments, **options)
        finally:
            _called_async.reset(token)

    def _half(self, name: str) -> Callable[..., Any]:
        """That method; in the async half its async half, if a subclass has one."""
        if _called_async.get() and overrides(type(self), async_half(name)):
            return async_to_sync(getattr(self, async_half(name)))
        method: Callable[..., Any] = getattr(self, name)
        return method
