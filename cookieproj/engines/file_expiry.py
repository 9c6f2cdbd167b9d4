"""When the file of a session expires, and the modification time that makes it expire then."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from .clock import as_django_stores, aware
from .constants import EXPIRY_ITEM
from .merge import Data
from .subclass_hooks import overrides
from .timeouts import timeouts

# The nanoseconds within the second of a modification time that mark a session without an expiry of
# its own. The time of such a file alone shows whether it has expired. Django's engine writes such a
# time by accident only, with a chance of one in a billion.
NO_EXPIRY_NANOSECONDS = 123_456_789
NS_PER_SECOND = 1_000_000_000

EPOCH = datetime.fromtimestamp(0, UTC)
MICROSECOND = timedelta(microseconds=1)


class FileExpiry:
    """The expiry of the engine's files, by the methods of ``session``, a session of the engine."""

    def __init__(self, session: Any) -> None:
        self.session = session

    def modification_time(self, key: str, data: Data, expires: datetime) -> int:
        """Return the modification time (ns) that makes the file expire then, or just before."""
        expiry = data.get(EXPIRY_ITEM)
        modified = time.time_ns()
        age = timeouts().idle if isinstance(expiry, str) else self._age(key, expiry)
        if age is not None:
            with suppress(OverflowError):
                modified = nanoseconds(aware(expires) - timedelta(seconds=age))
        without_expiry = (
            modified - NO_EXPIRY_NANOSECONDS
        ) // NS_PER_SECOND * NS_PER_SECOND + NO_EXPIRY_NANOSECONDS
        return modified // NS_PER_SECOND * NS_PER_SECOND if expiry else without_expiry

    def expires(self, key: str, modified: int, content: Callable[[], Data]) -> datetime:
        """Return when a file with that modification time (ns) expires.

        ``content`` returns its data, and is called only if the time does not say it.
        """
        if self._is_overridden:
            expiry = self.session._session_with_key(key)._expiry_date(content())
            age = self._age(key, expiry)
            return as_django_stores(datetime.now(UTC) + timedelta(seconds=age))
        modification = datetime.fromtimestamp(modified / NS_PER_SECOND, UTC)
        if has_no_expiry(modified):
            age = self.session.get_session_cookie_age()
            return as_django_stores(modification + timedelta(seconds=age))
        expiry = content().get(EXPIRY_ITEM)
        date = self.session.date_of(modification=modification, expiry=expiry)
        if isinstance(expiry, str) and (idle := timeouts().idle):
            # A date in the data says nothing of the last request, the modification time does.
            with suppress(OverflowError):
                date = min(date, modification + timedelta(seconds=idle), key=aware)
        return as_django_stores(date)

    def has_expired(self, modified: int) -> bool | None:
        """Whether a file with that modification time has expired. None if its data decides that."""
        if self._is_overridden or not has_no_expiry(modified):
            return None
        age: int = self.session.get_session_cookie_age()
        return modified <= time.time_ns() - age * NS_PER_SECOND

    @property
    def _is_overridden(self) -> bool:
        """Whether a subclass overrides what Django's engine computes the expiry from."""
        engine: type = type(self.session)
        return overrides(engine, "_expiry_date", "_last_modification", "get_expiry_age")

    def _age(self, key: str, expiry: Any) -> int:
        return int(self.session._session_with_key(key).get_expiry_age(expiry=expiry))


def has_no_expiry(modified: int) -> bool:
    return modified % NS_PER_SECOND == NO_EXPIRY_NANOSECONDS


def nanoseconds(moment: datetime) -> int:
    """Return the exact number since 1970, which a float would round."""
    return (moment - EPOCH) // MICROSECOND * 1000
