"""Sessions that browsers hold, and that have ended: refused until no cookie of theirs is good."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.utils import timezone

from cookieproj.engines.clock import as_django_stores, aware

from .models import RefusedSession

# How much longer a session is refused than it was known to live: requests were under way.
GRACE_PERIOD = timedelta(days=1)

# What is written down of an expiry lies between these: no database holds a later year, nor does
# each time zone hold the whole of that one.
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


def refuse(row: str, expires: datetime) -> None:
    """Refuse the session of that id from now on, until a cookie with it has expired."""
    age = timedelta(seconds=settings.SESSION_COOKIE_AGE)
    # A row from before may hold the very last moment of all.
    until = max(min(expires, as_django_stores(LAST)), timezone.now() + age) + GRACE_PERIOD
    RefusedSession.objects.bulk_create([RefusedSession(pk=row, until=until)], ignore_conflicts=True)
    # It may have been refused before, for less long.
    RefusedSession.objects.filter(pk=row, until__lt=until).update(until=until)


def is_refused(row: str) -> bool:
    return RefusedSession.objects.filter(pk=row).exists()


def expiry_of(session: SessionBase) -> datetime:
    """Never an error: a session may end, or be signed in, whatever it was given for an expiry."""
    with suppress(OverflowError, TypeError, ValueError):
        return as_django_stores(max(FIRST, min(aware(session.get_expiry_date()), LAST)))
    return as_django_stores(LAST)
