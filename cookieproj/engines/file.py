"""Sessions in files, one each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib.sessions.backends.file import SessionStore as DjangoStore

from .base import Engine
from .files import Files
from .hooks import overrides

if TYPE_CHECKING:
    from datetime import datetime

    from .merge import Data
    from .store import Store


class SessionStore(Engine, DjangoStore):
    """Files in SESSION_FILE_PATH, which expire by the time of their last change."""

    if TYPE_CHECKING:
        _expiry_date: Callable[[Data], Any]
        _key_to_file: Callable[[str], str]

    def make_store(self) -> Store:
        return Files(self)

    # What a subclass says of its files.

    @property
    def has_own_expiry(self) -> bool:
        """Whether a subclass has a part in what Django's engine goes by."""
        return overrides(type(self), "_expiry_date", "_last_modification", "get_expiry_age")

    def file_of(self, key: str) -> str:
        """Raises InvalidSessionKey for what could lead out of the folder."""
        return self._key_to_file(key)

    def is_key(self, key: str) -> bool:
        return self._validate_session_key(key)

    def expiry_of(self, key: str, data: Data) -> Any:
        return self._at(key)._expiry_date(data)

    def age_of(self, key: str, expiry: Any) -> int:
        return int(self._at(key).get_expiry_age(expiry=expiry))

    def date_of(self, **moments: Any) -> datetime:
        """Django's engine asks for no such date, so one of a subclass is not asked for either."""
        date: datetime = super().get_expiry_date(**moments)
        return date
