"""The async half of the engines' interface."""

from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.sessions.backends.base import SessionBase

from .apply import NOT_GIVEN


class Async(SessionBase):
    """The ``a…`` methods as wrappers of the others, before those that Django's engines have.

    Django's engines implement them a second time, so that an engine which overrides
    ``load`` alone would be gone round by ``aload``. Each runs in a thread: nothing here
    blocks the event loop.
    """

    aexists = SessionBase.aexists
    acreate = SessionBase.acreate
    asave = SessionBase.asave
    adelete = SessionBase.adelete
    aload = SessionBase.aload

    async def aapply(
        self, key: str, function: Callable[[Any], Any], default: Any = NOT_GIVEN
    ) -> Any:
        """The function is a plain one, no coroutine: it runs in the thread too."""
        apply: Any = self.apply  # type: ignore[attr-defined]
        return await sync_to_async(apply)(key, function, default)

    async def aflush(self) -> None:
        await sync_to_async(self.flush)()

    async def acycle_key(self) -> None:
        await sync_to_async(self.cycle_key)()

    async def adelete_test_cookie(self) -> None:
        await self.apop(self.TEST_COOKIE_NAME)

    @classmethod
    async def aclear_expired(cls, **options: Any) -> int:  # type: ignore[override]
        clear_expired: Any = cls.clear_expired
        cleared: int = await sync_to_async(clear_expired)(**options)
        return cleared
