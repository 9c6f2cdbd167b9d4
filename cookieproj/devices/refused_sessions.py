"""Sessions in signed cookies that have ended: refused until every cookie of theirs has expired."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.utils import timezone

from cookieproj.engines.clock import as_django_stores, aware

from .models import RefusedSession

# A session is refused for this long after its known expiry, because a request under way may have
# moved the expiry.
GRACE_PERIOD = timedelta(days=1)

# The limits of an expiry that is stored. No database has a later year, and the last days of that
# year are outside the range of some time zones.
FIRST_EXPIRY, LAST_EXPIRY = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


def refuse(row_id: str, expires: datetime) -> None:
    """Refuse the session with that row id until each of its cookies has expired."""
    age = timedelta(seconds=settings.SESSION_COOKIE_AGE)
    # An older row may have an expiry after LAST_EXPIRY.
    last_expiry = max(min(expires, as_django_stores(LAST_EXPIRY)), timezone.now() + age)
    refused = RefusedSession(pk=row_id, until=last_expiry + GRACE_PERIOD)
    RefusedSession.objects.bulk_create([refused], ignore_conflicts=True)
    # If it was refused already, for a shorter time.
    RefusedSession.objects.filter(pk=row_id, until__lt=refused.until).update(until=refused.until)


def is_refused(row_id: str) -> bool:
    return RefusedSession.objects.filter(pk=row_id).exists()


def expiry_of(session: SessionBase) -> datetime:
    """Return the session's expiry within the limits, and never raise.

    An invalid ``set_expiry`` must not stop a session from being signed in or ended.
    """
    with suppress(OverflowError, TypeError, ValueError):
        return as_django_stores(
            max(FIRST_EXPIRY, min(aware(session.get_expiry_date()), LAST_EXPIRY))
        )
    return as_django_stores(LAST_EXPIRY)
