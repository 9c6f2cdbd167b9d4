"""How many sessions there are: the figures and the chart above the admin's lists."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Count
from django.db.models.functions import TruncDate
from django.utils import timezone
from django.utils.translation import gettext as _

from cookieproj.engines import inspector
from cookieproj.engines.exceptions import SessionStoreError
from cookieproj.engines.listable import Estimate

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
    def sees_stored(self) -> bool:
        return bool(self.user.has_perm("cookieproj_engines.view_storedsession"))

    @property
    def sees_signed_in(self) -> bool:
        return bool(self.user.has_perm("cookieproj_devices.view_signedinsession"))

    @cached_property
    def stored(self) -> int | str:
        return counted(lambda: inspector.store().count())

    @cached_property
    def expired(self) -> int | str:
        return counted(lambda: inspector.store().count_expired())

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


def counted(count: Callable[[], int]) -> int | str:
    """A number, or the sentence that says why there is none."""
    try:
        return count()
    except SessionStoreError as error:
        return str(error)


def figure(value: int | str) -> str:
    """As people read it: a number, what is about that, or the sentence in its place."""
    if isinstance(value, str):
        return value
    number = intcomma(value)
    return _("about %(number)s") % {"number": number} if isinstance(value, Estimate) else number


def signed_in_by_day() -> dict[date, int]:
    today = timezone.localdate()
    days = [today - timedelta(days=before) for before in reversed(range(DAYS))]
    rows = (
        SignedInSession.objects.live()
        .annotate(day=TruncDate("signed_in_at"))
        .filter(day__gte=days[0])
        .values_list("day")
        .annotate(number=Count("pk"))
    )
    return dict.fromkeys(days, 0) | dict(rows)
