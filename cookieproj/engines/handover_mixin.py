"""What sessions are really made of: the engine and its store, and in a handover the former ones."""

from collections.abc import Callable
from functools import cache
from typing import Any, Self

from django.conf import settings
from django.core.signals import setting_changed

from .asynchronous import Async
from .registry import running
from .store import Store


class HandoverMixin(Async):
    """While SESSION_HANDOVER_FROM is set, the running engine's sessions know the former store.

    Channels, allauth and others open sessions by ``import_module(SESSION_ENGINE).SessionStore``,
    and some have taken that class before anything was set. So it stays the class that it is.
    Between servers its store becomes one that is made of both. To and from signed cookies, where
    the session key itself is exchanged, an instance of a subclass is made.

    Raises ImproperlyConfigured where SESSION_HANDOVER_FROM names an engine that cannot be.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        made: Self = super().__new__(made_of(cls)[0])
        return made

    def make_store(self) -> Store:
        """Where this engine by itself keeps sessions, a handover left aside."""
        raise NotImplementedError

    @property
    def _store(self) -> Store:
        """Made for each step: one that was kept would in turn keep this session."""
        _class, compose = made_of(type(self))
        return compose(self.make_store()) if compose else self.make_store()


def store_of(engine: Any) -> Store:
    """The store of that engine by itself, also where it is the running one, which hands over."""
    store: Store = engine().make_store()
    return store


@cache
def made_of(engine: Any) -> tuple[Any, Callable[[Store], Store] | None]:
    """The class of that one's sessions, and what makes of its store that of a handover, if any."""
    if not is_handing_over(engine):
        return engine, None
    # Not above: it is made of the engines, and they of this.
    from .handover import with_former  # noqa: PLC0415

    return with_former(engine)


def is_handing_over(engine: Any) -> bool:
    """Only the class that SESSION_ENGINE names does.

    The former engine's does not, nor do subclasses of either: by such ones a handover reaches each
    store by itself.
    """
    if not getattr(settings, "SESSION_HANDOVER_FROM", ""):
        return False
    return engine is running().session_class


def forget(*, setting: str, **kwargs: Any) -> None:
    if setting.startswith("SESSION_"):
        made_of.cache_clear()


setting_changed.connect(forget, dispatch_uid="cookieproj.engines.handover_mixin")
