"""Clears the registry of signed-in sessions, as ``clearsessions`` does after the store."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from cookieproj.engines import running_engine

from . import stored_sessions
from .known_devices import KNOWN_FOR
from .models import ForgettableQuerySet, KnownDevice, RefusedSession, SignedInSession
from .outdated_sessions import BATCH_SIZE, end_outdated
from .write_throttle import LAST_SEEN_INTERVAL


def clear() -> int:
    """Delete rows of sessions and devices that are out of date, in batches.

    Return the number of signed-in sessions. A row expires by its own date, because not every
    store can be asked. ``DevicesMiddleware`` updates the date when a session is renewed.
    """
    now = timezone.now()
    for _number in delete_in_batches(RefusedSession.objects.filter(until__lt=now)):
        pass
    for _number in delete_in_batches(KnownDevice.objects.filter(last_used__lt=now - KNOWN_FOR)):
        pass
    # The date of a row may lag behind the session by twice LAST_SEEN_INTERVAL: a process does not
    # update a row that is younger than that, and checks it again only after the same time.
    max_lag = 2 * timedelta(seconds=LAST_SEEN_INTERVAL)
    expired = SignedInSession.objects.filter(expires__lt=now - max_lag)
    return sum(delete_in_batches(expired)) + sum(forget_rows_without_session())


def delete_in_batches(rows: ForgettableQuerySet[Any]) -> Iterator[int]:
    """Delete the rows, a batch with each statement. Yield the number of each batch."""
    while batch := list(rows.values_list("pk", flat=True)[:BATCH_SIZE]):
        yield rows.filter(pk__in=batch).forget()


def forget_rows_without_session() -> Iterator[int]:
    """Delete the rows whose sessions are no longer stored. Yield the number of each batch.

    Sessions that have ended because their hash is no longer their user's are announced first.
    """
    rows = SignedInSession.objects.filter(engine__in=running_engine.names()).select_related("user")
    last_pk = UUID(int=0)
    while batch := list(rows.filter(pk__gt=last_pk).order_by("pk")[:BATCH_SIZE]):
        last_pk = batch[-1].pk
        end_outdated(batch)
        yield stored_sessions.forget_rows_without_session(
            batch, stored_sessions.rows_with_session(batch)
        )
