"""The engine that keeps each session in a file."""

from datetime import datetime
from typing import Any

from django.contrib.sessions.backends.file import SessionStore as DjangoStore

from .base import Engine
from .file_store import FileStore
from .session_keys import is_usual_key
from .store import Store
from .subclass_hooks import overrides


class SessionStore(Engine, DjangoStore):
    """Files in SESSION_FILE_PATH, whose age counts from their modification time."""

    def _accepts_key(self, session_key: str) -> bool:
        # No path is needed to accept such a key, unless a subclass decides on it.
        is_usual = is_usual_key(session_key) and not overrides(type(self), "_key_to_file")
        return is_usual or super()._accepts_key(session_key)

    def make_store(self) -> Store:
        return FileStore(self)

    def date_of(self, **arguments: Any) -> datetime:
        """Return Django's own expiry date.

        Django's file engine never calls ``get_expiry_date``, so a subclass's override is not called
        here.
        """
        date: datetime = super().get_expiry_date(**arguments)
        return date
