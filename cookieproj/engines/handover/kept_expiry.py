"""A session whose cookie this response exchanges for another."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from cookieproj.engines.clock import time_until
from cookieproj.engines.constants import EXPIRY_ITEM
from cookieproj.engines.handover_mixin import HandoverMixin
from cookieproj.engines.merge import Data, same_data


class KeepsExpiryMixin(HandoverMixin):
    """To exchange a cookie is no use of the session: that alone moves no expiry."""

    # What came of the old engine, and when it expires; None once a save has moved that.
    _moved: tuple[Data, datetime] | None = None

    def _is_unchanged_since_move(self) -> bool:
        if self._moved is None or settings.SESSION_SAVE_EVERY_REQUEST:
            return False
        try:
            return same_data(self._moved[0], self._store.form(self._get_session()))
        except (TypeError, ValueError):
            # A pickled session may hold what no cookie can.
            return False

    def _moment_of_writing(self) -> datetime:
        """Now; for a session that is merely moved, the moment that leaves its expiry as it was."""
        expiry = self._get_session().get(EXPIRY_ITEM)
        if not self._is_unchanged_since_move() or isinstance(expiry, str):
            return timezone.now()
        return self.get_expiry_date() - timedelta(seconds=self.get_expiry_age(expiry=expiry))

    def get_expiry_age(self, **kwargs: Any) -> int:
        if kwargs or self._moved is None or not self._is_unchanged_since_move():
            return int(super().get_expiry_age(**kwargs))
        return int(time_until(self._moved[1]).total_seconds())

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        if kwargs or self._moved is None or not self._is_unchanged_since_move():
            return super().get_expiry_date(**kwargs)
        return self._moved[1]
