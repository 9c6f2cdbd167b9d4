"""The class that sessions are really made of: the engine's own, or one that hands over."""

from functools import cache
from typing import Any, Self

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.core.signals import setting_changed
from django.utils.module_loading import import_string


class HandsOver(SessionBase):
    """While SESSION_HANDOVER_FROM is set, the running engine's sessions know the former store.

    Channels, allauth and others open sessions by ``import_module(SESSION_ENGINE).SessionStore``,
    and some have taken that class before anything was set. So it stays the class that it is, and
    what to make is decided as a session is made: an instance of a subclass of it.

    Raises ImproperlyConfigured where SESSION_HANDOVER_FROM names an engine that cannot be.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        made: Self = super().__new__(class_for(cls))
        return made


@cache
def class_for(store: Any) -> Any:
    """What a session of that class is made of.

    Only the class that SESSION_ENGINE names hands over. The former engine's does not, nor do
    subclasses of either: by such ones a handover reaches each store by itself.
    """
    if not getattr(settings, "SESSION_HANDOVER_FROM", ""):
        return store
    if store is not import_string(f"{settings.SESSION_ENGINE}.SessionStore"):
        return store
    # Not above: it is made of the engines, and they of this.
    from .handover import built  # noqa: PLC0415

    return built(store)


def forget(*, setting: str, **kwargs: Any) -> None:
    if setting.startswith("SESSION_"):
        class_for.cache_clear()


setting_changed.connect(forget, dispatch_uid="cookieproj.engines.hands_over")
