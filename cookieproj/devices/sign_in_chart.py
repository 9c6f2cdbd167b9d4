"""The number of signed-in sessions, and the chart of sign-ins by day, above the admin's lists."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db.models import Count
from django.db.models.functions import TruncDate
from django.utils import timezone

from .models import SignedInSession

DAYS_SHOWN = 14

# The height of the chart and the distance of two bars, in units of the template's viewBox.
CHART_HEIGHT, BAR_DISTANCE = 100, 24


@dataclass(frozen=True)
class Bar:
    """The bar of one day, drawn from the bottom up."""

    day: date
    number: int
    left: int
    height: float

    @property
    def top(self) -> float:
        return CHART_HEIGHT - self.height


@dataclass(frozen=True)
class Overview:
    """The figures that this user of the admin may see."""

    user: Any

    @property
    def sees_signed_in(self) -> bool:
        return bool(self.user.has_perm("cookieproj_devices.view_signedinsession"))

    @cached_property
    def signed_in(self) -> int:
        return SignedInSession.objects.live().count()

    @cached_property
    def bars(self) -> list[Bar]:
        """A bar for each of the last DAYS_SHOWN days: live sessions that began on it."""
        numbers = signed_in_by_day()
        highest = max(*numbers.values(), 1)
        return [
            Bar(day, number, place * BAR_DISTANCE, CHART_HEIGHT * number / highest)
            for place, (day, number) in enumerate(numbers.items())
        ]

    @property
    def width(self) -> int:
        return DAYS_SHOWN * BAR_DISTANCE


def signed_in_by_day() -> dict[date, int]:
    """Return how many live sessions began on each of the last DAYS_SHOWN days."""
    today = timezone.localdate() if settings.USE_TZ else timezone.now().date()
    days = [today - timedelta(days=age) for age in reversed(range(DAYS_SHOWN))]
    rows = (
        SignedInSession.objects.live()
        .annotate(day=TruncDate("signed_in_at"))
        .filter(day__gte=days[0])
        .values_list("day")
        .annotate(number=Count("pk"))
    )
    return dict.fromkeys(days, 0) | dict(rows)
