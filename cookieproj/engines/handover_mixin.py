"""A session's real class and store: the engine's own, or in a handover those of both engines."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Self

from django.conf import settings
from django.core.signals import setting_changed

from .async_methods import AsyncMixin
from .engine_registry import current_engine
from .store import Store


class HandoverMixin(AsyncMixin):
    """A session that also uses the previous engine's store while SESSION_HANDOVER_FROM is set.

    Channels, allauth and others open sessions by ``import_module(SESSION_ENGINE).SessionStore``,
    and some import that class before the settings are complete. So the class stays the same.
    Between two server engines its store becomes one of both stores. To or from signed cookies,
    where the session key itself is exchanged, creating a session returns an instance of a subclass.

    Raises ImproperlyConfigured if SESSION_HANDOVER_FROM names an engine that cannot hand over.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        session: Self = super().__new__(class_and_composer(cls)[0])
        return session

    def make_store(self) -> Store:
        """Return the engine's own store, without a handover."""
        raise NotImplementedError

    @property
    def _store(self) -> Store:
        """The session's store, created at each use: a kept one would refer back to this session."""
        _class, compose = class_and_composer(type(self))
        return compose(self.make_store()) if compose else self.make_store()


def store_of(engine: Any) -> Store:
    """Return the engine's own store, even if it is the running engine in a handover."""
    store: Store = engine().make_store()
    return store


# Bounded, as a trial of an engine makes a class of its own.
@lru_cache(maxsize=64)
def class_and_composer(engine: Any) -> tuple[Any, Callable[[Store], Store] | None]:
    """Return the class of the engine's sessions, and a function or None.

    In a handover, the function makes the store of both engines from the engine's own.
    """
    if not is_handing_over(engine):
        return engine, None
    # Imported here, as the handover imports the engines and they import this.
    from .handover import build_handover  # noqa: PLC0415

    return build_handover(engine)


def is_handing_over(engine: Any) -> bool:
    """Whether it is the very class that SESSION_ENGINE names, in a handover.

    Neither the previous engine's class nor a subclass of either is: with these a handover accesses
    each store by itself.
    """
    if not getattr(settings, "SESSION_HANDOVER_FROM", ""):
        return False
    return engine is current_engine().session_class


def clear_cached_handover(*, setting: str, **kwargs: Any) -> None:
    """Forget the classes when a setting of sessions changes."""
    if setting.startswith("SESSION_"):
        class_and_composer.cache_clear()


setting_changed.connect(clear_cached_handover, dispatch_uid="cookieproj.engines.handover_mixin")
