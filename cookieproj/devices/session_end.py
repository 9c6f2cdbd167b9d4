"""When the session of a signed-in user ends by itself, for the pages that count down."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest

from cookieproj.engines.clock import aware, time_until
from cookieproj.engines.constants import AUTH_TIME
from cookieproj.engines.renewal import decide_renewal
from cookieproj.engines.timeouts import timeouts

# Seconds. Users get longer if they may be idle for long: WCAG 2.2.1 asks for at least 20.
SHORTEST_WARNING = 60


@dataclass(frozen=True)
class SessionEnd:
    """``moment`` is when the session ends. Activity moves it, unless it ``is_absolute``."""

    moment: datetime
    is_absolute: bool

    @property
    def seconds(self) -> int:
        """The whole seconds until then."""
        return max(0, int(time_until(self.moment).total_seconds()))


def session_end(request: HttpRequest) -> SessionEnd | None:
    """Return the end of the request's session; None if neither timeout is set.

    For a session that the response neither saves nor renews this is what its store says, which may
    cost a round trip.
    """
    _idle, absolute = timeouts()
    if timeouts() == (None, None):
        return None
    session: Any = request.session
    decide_renewal(request)
    moves = session.modified or getattr(session, "is_renewed", False)
    stored = None if moves or not hasattr(session, "stored_expiry") else session.stored_expiry()
    moment = aware(stored or session.get_expiry_date())
    auth_time = session.get(AUTH_TIME)
    if absolute is None or auth_time is None:
        return SessionEnd(moment, is_absolute=False)
    latest = datetime.fromtimestamp(auth_time + absolute, moment.tzinfo)
    # The two may differ by the fraction of a second that a store does not keep.
    return SessionEnd(min(moment, latest), latest - moment < timedelta(seconds=2))


def seconds_of_warning() -> int:
    """Return how long before the end the page warns: a tenth of the idle age, at least a minute.

    Never longer than half of the age.
    """
    ages = [age for age in timeouts() if age is not None]
    idle = timeouts().idle
    return min(max(SHORTEST_WARNING, (idle or 0) // 10), min(ages) // 2)
