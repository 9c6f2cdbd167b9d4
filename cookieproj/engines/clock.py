"""Moments in time, correct also if USE_TZ is off and the local clock is changed."""

from datetime import UTC, datetime, timedelta

from django.utils import timezone

from .quick_settings import setting

# One day from the ends of datetime's range, so that both exist in every time zone.
EARLIEST = datetime.min.replace(tzinfo=UTC) + timedelta(days=1)
LATEST = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)


def aware(moment: datetime) -> datetime:
    """Return the moment with its time zone: the site's, not the visitor's, if it is naive."""
    if moment.utcoffset() is not None:
        return moment
    return timezone.make_aware(moment, timezone.get_default_timezone())


def from_now(seconds: float) -> datetime:
    """Return the moment so many seconds from now, at most the last one that a datetime can be."""
    try:
        return datetime.now(UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return LATEST if seconds > 0 else EARLIEST


def time_until(moment: datetime) -> timedelta:
    """Return the time from now to that moment, even if it was stored under another USE_TZ."""
    return aware(moment) - datetime.now(UTC)


def is_near(first: datetime, second: datetime) -> bool:
    """Whether the moments are less than two seconds apart, as some stores count whole seconds."""
    return abs(aware(first) - aware(second)) < timedelta(seconds=2)


def is_past(moment: datetime) -> bool:
    """Whether the moment is now or before."""
    return aware(moment) <= datetime.now(UTC)


def as_django_stores(moment: datetime) -> datetime:
    """Return the moment as Django stores it: naive, in the site's time zone, if USE_TZ is off."""
    if setting("USE_TZ") or timezone.is_naive(moment):
        return moment
    return timezone.make_naive(moment, timezone.get_default_timezone())
