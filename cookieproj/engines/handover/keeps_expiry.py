"""What both exchanges of a cookie share: an exchange alone moves no expiry."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from cookieproj.engines.clock import aware, time_until
from cookieproj.engines.constants import EXPIRY_ITEM
from cookieproj.engines.handover_mixin import HandoverMixin
from cookieproj.engines.merge import Data, same_data
from cookieproj.engines.timeouts import timeouts


class KeepsExpiryMixin(HandoverMixin):
    """A session that this response exchanges a cookie for, or whose cookie it exchanges for a key.

    The exchange is no use of the session. As long as the request changes nothing, the session
    expires when it would have expired without the exchange.
    """

    # The data and the expiry before the exchange; None once a save has moved the expiry.
    _moved: tuple[Data, datetime] | None = None

    def _is_unchanged_since_move(self) -> bool:
        if self._moved is None or settings.SESSION_SAVE_EVERY_REQUEST:
            return False
        data, _expires = self._moved
        try:
            return same_data(data, self._store.form(self._get_session()))
        except (TypeError, ValueError):
            # A session that was pickled may contain values that no cookie can.
            return False

    def _moment_of_writing(self) -> datetime:
        """Return now, or for an unchanged session the moment that keeps its expiry."""
        expiry = self._get_session().get(EXPIRY_ITEM)
        if not self._is_unchanged_since_move() or isinstance(expiry, str):
            moment: datetime = super()._moment_of_writing()  # type: ignore[misc]
            return moment
        age = self.get_expiry_age(expiry=expiry)
        # Whichever is earlier ends a cookie that was written at that moment.
        age = min(age, timeouts().idle or age)
        return aware(self.get_expiry_date()) - timedelta(seconds=age)

    def get_expiry_age(self, **kwargs: Any) -> int:
        if kwargs or self._moved is None or not self._is_unchanged_since_move():
            return int(super().get_expiry_age(**kwargs))
        _data, expires = self._moved
        return int(time_until(expires).total_seconds())

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        if kwargs or self._moved is None or not self._is_unchanged_since_move():
            return super().get_expiry_date(**kwargs)
        _data, expires = self._moved
        return expires
