"""Moments, also where USE_TZ is off and a clock that is put forward or back tells them."""

from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.utils import timezone

# A day less: in another time zone each is a date too.
FIRST = datetime.min.replace(tzinfo=UTC) + timedelta(days=1)
LAST = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)


def aware(moment: datetime) -> datetime:
    """With its time zone, which is the site's where it tells none, whatever a visitor's is."""
    if timezone.is_aware(moment):
        return moment
    return timezone.make_aware(moment, timezone.get_default_timezone())


def from_now(seconds: float) -> datetime:
    """So long from now; the end of all dates where it is after that."""
    try:
        return datetime.now(UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return LAST if seconds > 0 else FIRST


def time_until(moment: datetime) -> timedelta:
    """How long it is until then, also if it was stored while USE_TZ was another."""
    return aware(moment) - datetime.now(UTC)


def is_near(one: datetime, other: datetime) -> bool:
    """Whether both are in the same second or so: some stores count in whole ones."""
    return abs(aware(one) - aware(other)) < timedelta(seconds=2)


def is_past(moment: datetime) -> bool:
    return time_until(moment) <= timedelta()


def as_django_stores(moment: datetime) -> datetime:
    """As Django tells it: without a time zone where USE_TZ is off."""
    if settings.USE_TZ or timezone.is_naive(moment):
        return moment
    return timezone.make_naive(moment, timezone.get_default_timezone())
