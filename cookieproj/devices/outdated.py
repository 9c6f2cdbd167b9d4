"""Sessions whose hash is not their user's any more: by another password, say, they have ended.

A password that is saved sends a signal. One that is written by ``update`` or ``bulk_update``
sends none, nor does another SECRET_KEY: it is found when the session is next used, when it is
listed, and by ``clearsessions``.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest
from django.utils import timezone

from cookieproj.engines.exceptions import StoreError

from . import session_registry
from .announcements import announce_end
from .current_request import current
from .deferred_writes import try_write
from .models import SignedInSession
from .signals import PASSWORD
from .user_model import users

# Rows in a statement.
BATCH = 500

# Where a request keeps the row of its own session, if its user has got another password.
OWN = "own_session_in_doubt"


def outdated_among(rows: Iterable[SignedInSession]) -> list[SignedInSession]:
    """Those with a hash that is not their user's.

    Their users must have been read with the rows, or later: a hash that is newer than its user
    would be taken for an older one.
    """
    hashes: dict[Any, list[str]] = {}
    rows = list(rows)
    for row in rows:
        if row.user_id not in hashes:
            hashes[row.user_id] = session_registry.hashes_of(row.user)
    return [row for row in rows if row.auth_hash not in hashes[row.user_id]]


def end_outdated(rows: Sequence[SignedInSession]) -> set[SignedInSession]:
    """Of the rows end those that are outdated, and tell of each once; which they are.

    Not those of a SECRET_KEY that is no longer set: when it is set again, their hashes hold.
    """
    found = [row for row in outdated_among(rows) if row.session_key or not row.sealed_key]
    if found:
        try_write(lambda: end(found))
    return set(found)


def end(rows: Sequence[SignedInSession]) -> None:
    """Let them expire, and tell of it, but for those that have got another hash since.

    Of two that end the same row only one writes its own moment there, and tells.
    """
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        now = timezone.now()
        found = SignedInSession.objects.filter(
            pk__in=[row.pk for row in batch], auth_hash__in={row.auth_hash for row in batch}
        )
        if not found.filter(expires__gt=now).update(expires=now):
            continue
        ended = set(found.filter(expires=now).values_list("pk", flat=True))
        for row in batch:
            if row.pk in ended:
                announce_end(row, PASSWORD, using=users().db)


def own_row(user: Any) -> str | None:
    """The id of the row of the session that has changed that user, if it is the user's own.

    Whether it goes on with a new hash is known at the end of the request: see ``end_own``.
    """
    request = current.get()
    with suppress(StoreError):
        session = getattr(request, "session", {})
        if session.get(SESSION_KEY) == user._meta.pk.value_to_string(user):
            setattr(request, OWN, session_registry.registered_id(session))
    return getattr(request, OWN, None)


def end_own(request: HttpRequest) -> None:
    """Once the request is answered: its own session, if that has not got the new hash."""
    if hasattr(request, OWN):
        rows = SignedInSession.objects.filter(pk__in=[getattr(request, OWN)])
        try_write(lambda: end_outdated(list(rows.select_related("user"))))
