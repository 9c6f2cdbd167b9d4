"""What clearsessions clears besides the store: the registry of what is no longer true."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from cookieproj.engines import running_engine

from . import registry, stored_sessions
from .models import Forgettable, RefusedSession, SignedInSession
from .outdated import BATCH, end_outdated


def clear() -> int:
    """Forget what is no longer true, by batches: how many signed-in sessions were gone.

    A row has expired by its own date, as not every store can be asked: what renews a session
    is written down by ``DevicesMiddleware``.
    """
    now = timezone.now()
    for _refused in batches(RefusedSession.objects.filter(until__lt=now)):
        pass
    # What was last written of a session's expiry may be so much older than the session: a process
    # leaves alone what is younger than SEEN_EVERY, and looks again only when as much has gone by.
    late = 2 * timedelta(seconds=registry.SEEN_EVERY)
    expired = SignedInSession.objects.filter(expires__lt=now - late)
    return sum(batches(expired)) + sum(forgotten())


def batches(rows: Forgettable[Any]) -> Iterator[int]:
    """Remove rows, those of a batch by one statement: how many went."""
    while batch := list(rows.values_list("pk", flat=True)[:BATCH]):
        yield rows.filter(pk__in=batch).forget()


def forgotten() -> Iterator[int]:
    """Forget rows whose sessions are not stored any more, by batches: how many they were.

    Before that those are told that have ended by their user's hash.
    """
    rows = SignedInSession.objects.filter(engine__in=running_engine.names()).select_related("user")
    last = UUID(int=0)
    while batch := list(rows.filter(pk__gt=last).order_by("pk")[:BATCH]):
        last = batch[-1].pk
        end_outdated(batch)
        yield stored_sessions.forget_gone(batch, stored_sessions.alive(batch))
