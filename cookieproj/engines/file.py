"""Sessions in files, one each."""

from datetime import datetime
from typing import Any

from django.contrib.sessions.backends.file import SessionStore as DjangoStore

from .base import Engine
from .file_store import FileStore
from .store import Store


class SessionStore(Engine, DjangoStore):
    """Files in SESSION_FILE_PATH, which expire by the time of their last change."""

    def make_store(self) -> Store:
        return FileStore(self)

    def date_of(self, **moments: Any) -> datetime:
        """Django's engine asks for no such date, so one of a subclass is not asked for either."""
        date: datetime = super().get_expiry_date(**moments)
        return date
