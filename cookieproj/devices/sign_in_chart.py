"""How many sessions there are: the figures and the chart above the admin's lists."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db.models import Count
from django.db.models.functions import TruncDate
from django.utils import timezone

from .models import SignedInSession

DAYS = 14

# Of the chart, in its own units: what the template draws with.
HEIGHT, STEP = 100, 24


@dataclass(frozen=True)
class Bar:
    """A day of the chart, drawn from the bottom up."""

    day: date
    number: int
    left: int
    height: float

    @property
    def top(self) -> float:
        return HEIGHT - self.height


@dataclass(frozen=True)
class Overview:
    """What that user of the admin may know."""

    user: Any

    @property
    def sees_signed_in(self) -> bool:
        return bool(self.user.has_perm("cookieproj_devices.view_signedinsession"))

    @cached_property
    def signed_in(self) -> int:
        return SignedInSession.objects.live().count()

    @cached_property
    def bars(self) -> list[Bar]:
        """Those who are signed in, by the day on which they did so: the last DAYS days."""
        numbers = signed_in_by_day()
        most = max(*numbers.values(), 1)
        return [
            Bar(day, number, place * STEP, HEIGHT * number / most)
            for place, (day, number) in enumerate(numbers.items())
        ]

    @property
    def width(self) -> int:
        return DAYS * STEP


def signed_in_by_day() -> dict[date, int]:
    today = timezone.localdate() if settings.USE_TZ else timezone.now().date()
    days = [today - timedelta(days=before) for before in reversed(range(DAYS))]
    rows = (
        SignedInSession.objects.live()
        .annotate(day=TruncDate("signed_in_at"))
        .filter(day__gte=days[0])
        .values_list("day")
        .annotate(number=Count("pk"))
    )
    return dict.fromkeys(days, 0) | dict(rows)
