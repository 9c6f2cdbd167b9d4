"""What sessions are really made of: the engine and its store, and in a handover the former ones."""

from collections.abc import Callable
from functools import cache
from typing import Any, Self

from django.conf import settings
from django.core.signals import setting_changed

from .async_methods import AsyncMixin
from .engine_registry import current_engine
from .store import Store


class HandoverMixin(AsyncMixin):
    """While SESSION_HANDOVER_FROM is set, the running engine's sessions know the former store.

    Channels, allauth and others open sessions by ``import_module(SESSION_ENGINE).SessionStore``,
    and some have taken that class before anything was set. So it stays the class that it is.
    Between servers its store becomes one that is made of both. To and from signed cookies, where
    the session key itself is exchanged, an instance of a subclass is made.

    Raises ImproperlyConfigured where SESSION_HANDOVER_FROM names an engine that cannot be.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        made: Self = super().__new__(class_and_composer(cls)[0])
        return made

    def make_store(self) -> Store:
        """Where this engine by itself keeps sessions, a handover left aside."""
        raise NotImplementedError

    @property
    def _store(self) -> Store:
        """Made for each step: one that was kept would in turn keep this session."""
        _class, compose = class_and_composer(type(self))
        return compose(self.make_store()) if compose else self.make_store()


def store_of(engine: Any) -> Store:
    """The store of that engine by itself, also where it is the running one, which hands over."""
    store: Store = engine().make_store()
    return store


@cache
def class_and_composer(engine: Any) -> tuple[Any, Callable[[Store], Store] | None]:
    """The class of that one's sessions, and what makes of its store that of a handover, if any."""
    if not is_handing_over(engine):
        return engine, None
    # Not above: it is made of the engines, and they of this.
    from .handover import build_handover  # noqa: PLC0415

    return build_handover(engine)


def is_handing_over(engine: Any) -> bool:
    """Only the class that SESSION_ENGINE names does.

    The former engine's does not, nor do subclasses of either: by such ones a handover reaches each
    store by itself.
    """
    if not getattr(settings, "SESSION_HANDOVER_FROM", ""):
        return False
    return engine is current_engine().session_class


def clear_cached_handover(*, setting: str, **kwargs: Any) -> None:
    if setting.startswith("SESSION_"):
        class_and_composer.cache_clear()


setting_changed.connect(clear_cached_handover, dispatch_uid="cookieproj.engines.handover_mixin")
