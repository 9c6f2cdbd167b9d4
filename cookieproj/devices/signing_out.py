"""Lists where a user is signed in, and signs the user out everywhere or session by session."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.contrib.auth import update_session_auth_hash
from django.db import router, transaction
from django.db.models import Case, F, Model, When
from django.http import HttpRequest
from django.utils.translation import gettext as _

from cookieproj.engines import running_engine
from cookieproj.engines.exceptions import SessionStoreError

from . import auth_hashes, session_registry, stored_sessions
from .deferred_writes import try_write
from .models import SignedInSession, SignedInSessionQuerySet
from .outdated_sessions import end_outdated, outdated_among
from .row_identity import registered_id
from .signals import ENDED, EVERYWHERE, PASSWORD
from .signals_on_commit import announce_end
from .user_model import counts_sign_outs, has_field, users

# More sessions of one user come from a program, and nobody reads through them.
MAX_DEVICES_LISTED = 100


def devices_of(user: Any) -> list[SignedInSession]:
    """Return the rows of the user's sessions, the last seen first, up to MAX_DEVICES_LISTED.

    Ends outdated sessions, and deletes rows whose sessions are no longer stored.
    """
    live = SignedInSession.objects.openable().filter(user=user.pk)
    valid_first = Case(When(auth_hash__in=auth_hashes.hashes_of(user), then=0), default=1)
    # The user is read again with the rows: the instance may have an older password than they have.
    rows = list(
        live.select_related("user").order_by(valid_first, "-last_seen")[:MAX_DEVICES_LISTED]
    )
    outdated = outdated_among(rows)
    end_outdated(outdated)
    # An outdated session has ended, even if that could not be written to its row.
    valid = [row for row in rows if row not in outdated]
    alive = stored_sessions.rows_with_session(valid)
    try_write(lambda: stored_sessions.forget_rows_without_session(valid, alive))
    return alive


@contextmanager
def log_end_by_owner(row: SignedInSession) -> Iterator[None]:
    """Add an entry to the admin's log, unless the block raises."""
    with transaction.atomic(using=router.db_for_write(SignedInSession)):
        add_log_entries([row], "DELETION", _("Signed out by its user."), by=row.user)
        yield


def sign_out_everywhere(user: Any, *, by: Any = None, keep: HttpRequest | None = None) -> int:
    """End all sessions of the user, and return how many devices that signs out.

    These are the sessions in the registry that the running engine opens. Those of an engine that
    the site has left are ended too.

    With SignOutEverywhereMixin this changes the user's session hash, which works on every engine,
    even while its store is unreachable. Stored sessions are deleted as far as possible. Without the
    mixin, each session in the registry is ended individually.

    The session of the request ``keep`` stays signed in if it is the user's. ``by`` is the user who
    asked for the sign-out, None at the command line. It is written to the admin's log.

    Raises SessionEndedError and ends no session if ``keep`` has been signed out by another device
    in the meantime: of two devices that sign each other out, the first stays signed in. A second
    click on one device ends no session either; it continues with the session that the first has
    kept.

    Without the mixin, raises NotEndedError and ends no session on an engine that cannot end a
    single one. On other engines, raises NotEndedError or StoreError if a session could not be
    ended, after it has ended all others.
    """
    kept = keep if keep is not None and keep.user == user else None
    if counts_sign_outs():
        return end_by_hash(user, by, kept)
    if reason := running_engine.why_not_single():
        remedy = _("With SignOutEverywhereMixin in the user model all of them can be ended.")
        raise stored_sessions.NotEndedError(reason, remedy)
    return end_one_by_one(user, by, kept)


def end_by_hash(user: Any, by: Any, kept: HttpRequest | None) -> int:
    """End all sessions by a new session hash. See ``sign_out_everywhere``."""
    using = users().db
    with transaction.atomic(using=using):
        user_row = users().filter(pk=user.pk)
        # This locks the row on every database: a concurrent sign-out reads the counter after it.
        user_row.update(sign_outs=F("sign_outs"))
        names = ("sign_outs", "password", "session_hashes")
        user.refresh_from_db(using=using, fields=list(filter(has_field, names)))
        previous_hashes = auth_hashes.hashes_of(user)
        if kept is not None and auth_hashes.hash_of(kept.session) not in previous_hashes:
            session_registry.rejoin(kept, user)
            return 0
        user.sign_outs += 1
        user_row.update(sign_outs=user.sign_outs)
        rows = ended_sessions(user)
        if kept is not None:
            update_session_auth_hash(kept, user)
            # In the same transaction, so a second click finds the row with the new hash.
            session_registry.update_identity(kept.session)
            rows = rows.exclude(pk__in=[registered_id(kept.session)])
        log_sign_out(user, by)
        live_rows = list(rows.live())
    # The sessions have ended, so an error must not keep the kept session from its new hash.
    try_write(lambda: delete_sessions_and_rows(rows))
    number, engines = 0, running_engine.names()
    for row in live_rows:
        was_valid = row.auth_hash in previous_hashes
        number += was_valid and row.engine in engines
        announce_end(row, EVERYWHERE if was_valid else PASSWORD, using=using)
    return number


def end_one_by_one(user: Any, by: Any, kept: HttpRequest | None) -> int:
    """End each session in the registry individually. See ``sign_out_everywhere``."""
    rows = user.signed_in_sessions.all()
    if kept is not None:
        rows = rows.exclude(pk__in=[registered_id(kept.session)])
    log_sign_out(user, by)
    return end_each(rows, EVERYWHERE)


def end_each(rows: SignedInSessionQuerySet, reason: str = ENDED) -> int:
    """End each session individually, and return how many of them the running engine opened.

    ``session_ended`` is sent with ``reason``. Raises NotEndedError or StoreError if a session could
    not be ended, after it has ended all others.
    """
    listed = list(rows.select_related("user"))
    end_outdated(listed)
    number = rows.openable().count()
    errors: list[SessionStoreError] = []
    using = router.db_for_write(SignedInSession)
    for row in listed:
        try:
            # A savepoint, so that an error does not break a transaction of the caller.
            with transaction.atomic(using=using):
                row.end_reason = reason
                row.delete()
        except SessionStoreError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return number


def delete_sessions_and_rows(rows: SignedInSessionQuerySet) -> None:
    delete_stored(rows)
    rows.forget()


def ended_sessions(user: Any) -> SignedInSessionQuerySet:
    """Return the rows whose hash is not one of the user's, and never will be again.

    Must be called in the transaction that has changed the hash. The rows are selected by their old
    hashes, all of which are known then: a session of a later sign-in is not among them.
    """
    rows: SignedInSessionQuerySet = user.signed_in_sessions.all()
    hashes = set(rows.order_by().values_list("auth_hash", flat=True).distinct())
    return rows.filter(auth_hash__in=hashes.difference(auth_hashes.hashes_of(user)))


def delete_stored(rows: SignedInSessionQuerySet) -> None:
    """Delete the stored sessions of the rows, which have ended already; log what stays stored."""
    errors_by_engine: dict[str, object] = {}
    reasons_not_ended: set[object] = set()
    # No ``iterator``: outside a transaction PgBouncer would lose its cursor.
    for row in rows.exclude(sealed_key=""):
        if row.engine in errors_by_engine:
            # Its store does not answer.
            continue
        try:
            stored_sessions.delete_stored_session(row)
        except stored_sessions.NotEndedError as error:
            reasons_not_ended.add(error.reason)
        except SessionStoreError as error:
            errors_by_engine[row.engine] = error
    for reason in (*errors_by_engine.values(), *reasons_not_ended):
        stored_sessions.log_left_in_store(reason)


def log_sign_out(user: Any, by: Any) -> None:
    message = _("Signed out everywhere.") if by else _("Signed out everywhere by manage.py.")
    add_log_entries([user], "CHANGE", message, by=by or user)


def add_log_entries(ended: Sequence[Model], action: str, message: str, *, by: Any) -> None:
    """Add an entry for each object to the admin's log, if the admin is installed.

    Must be called before the objects are deleted and lose their ids.
    """
    if not apps.is_installed("django.contrib.admin"):
        return
    # Its table exists only if the admin is installed.
    from django.contrib.admin import models  # noqa: PLC0415

    models.LogEntry.objects.log_actions(by.pk, ended, getattr(models, action), message)
