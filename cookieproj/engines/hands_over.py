"""Sessions that hand over, whoever makes them."""

from typing import Any, Self

from django.contrib.sessions.backends.base import SessionBase

from .registry import class_for


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
