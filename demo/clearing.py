"""What clearsessions clears besides the store: the index of what is no longer true."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from . import engine, index
from .models import RefusedSession, SignedInSession

# Rows in a batch: not more than a statement on any database takes.
BATCH = 500


def clear() -> int:
    """Forget what is no longer true, by batches: how many signed-in sessions were gone."""
    now = timezone.now()
    for _refused in batches(RefusedSession.objects.filter(until__lt=now)):
        pass
    # What was last written of a session's expiry may be so much older than the session.
    expired = SignedInSession.objects.filter(expires__lt=now - timedelta(seconds=index.SEEN_EVERY))
    return sum(batches(expired)) + sum(forgotten())


def batches(rows: QuerySet[Any]) -> Iterator[int]:
    """Remove rows, those of a batch by one statement: how many went."""
    while batch := list(rows.values_list("pk", flat=True)[:BATCH]):
        yield rows.filter(pk__in=batch)._raw_delete(rows.db)


def forgotten() -> Iterator[int]:
    """Forget rows whose sessions are not stored any more, by batches: how many they were."""
    rows = SignedInSession.objects.filter(engine__in=engine.names()).exclude(sealed_key="")
    last = UUID(int=0)
    while batch := list(rows.filter(pk__gt=last).order_by("pk")[:BATCH]):
        last = batch[-1].pk
        yield index.forget_gone(batch, index.alive(batch))
