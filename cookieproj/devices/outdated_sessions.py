"""Sessions whose hash is no longer their user's: they have ended, for example by a new password.

The save of a password sends a signal. A change by ``update`` or ``bulk_update`` sends none, nor
does a change of SECRET_KEY. Such a session is recognized when it is next used or listed, and by
``clearsessions``.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest
from django.utils import timezone

from cookieproj.engines.exceptions import StoreError

from . import auth_hashes
from .current_request import current_request
from .deferred_writes import try_write
from .models import SignedInSession
from .row_identity import registered_id
from .signals import PASSWORD
from .signals_on_commit import announce_end
from .user_model import users

# Rows in one statement.
BATCH_SIZE = 500

# On a request that has changed its user's password: the id of the row of its own session.
OWN_ROW_ATTRIBUTE = "own_session_in_doubt"


def outdated_among(rows: Iterable[SignedInSession]) -> list[SignedInSession]:
    """Return the rows whose hash is not one of their user's.

    The users must have been read with the rows or later: to an older user, a newer hash in a row
    would seem outdated.
    """
    rows = list(rows)
    hashes: dict[Any, list[str]] = {}
    for row in rows:
        if row.user_id not in hashes:
            hashes[row.user_id] = auth_hashes.hashes_of(row.user)
    return [row for row in rows if row.auth_hash not in hashes[row.user_id]]


def end_outdated(rows: Sequence[SignedInSession]) -> set[SignedInSession]:
    """End the outdated sessions among the rows, announce the end of each, and return their rows.

    A session whose key cannot be decrypted is left: its SECRET_KEY is not set now, and its hash is
    valid again once that is.
    """
    outdated = [row for row in outdated_among(rows) if row.session_key or not row.sealed_key]
    if outdated:
        try_write(lambda: expire_rows(outdated))
    return set(outdated)


def expire_rows(rows: Sequence[SignedInSession]) -> None:
    """Let the rows expire now, unless their hash has changed since, and announce each end once.

    If two requests end the same session, only the first sets the expiry of its row, and announces.
    """
    for start in range(0, len(rows), BATCH_SIZE):
        batch = rows[start : start + BATCH_SIZE]
        now = timezone.now()
        unchanged = SignedInSession.objects.filter(
            pk__in=[row.pk for row in batch], auth_hash__in={row.auth_hash for row in batch}
        )
        if not unchanged.filter(expires__gt=now).update(expires=now):
            continue
        expired_ids = set(unchanged.filter(expires=now).values_list("pk", flat=True))
        for row in batch:
            if row.pk in expired_ids:
                announce_end(row, PASSWORD, using=users().db)


def own_row_id(user: Any) -> str | None:
    """Return the id of the current request's row, if the request is signed in as that user.

    The request remembers it for ``end_own_session``: only at the end of the request is it known
    whether its session has got the new hash.
    """
    request = current_request.get()
    with suppress(StoreError):
        session = getattr(request, "session", {})
        if session.get(SESSION_KEY) == user._meta.pk.value_to_string(user):
            setattr(request, OWN_ROW_ATTRIBUTE, registered_id(session))
    return getattr(request, OWN_ROW_ATTRIBUTE, None)


def end_own_session(request: HttpRequest) -> None:
    """End the session of a request that has changed the password but not got the new hash."""
    if hasattr(request, OWN_ROW_ATTRIBUTE):
        rows = SignedInSession.objects.filter(pk__in=[getattr(request, OWN_ROW_ATTRIBUTE)])
        try_write(lambda: end_outdated(list(rows.select_related("user"))))
