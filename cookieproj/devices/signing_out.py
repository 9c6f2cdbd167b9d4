"""Where a user is signed in, and the end of that."""

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

from . import session_registry, stored_sessions
from .announcements import announce_end
from .deferred_writes import try_write
from .models import SignedInSession, SignedInSessionQuerySet
from .outdated import end_outdated, outdated_among
from .signals import ENDED, EVERYWHERE, PASSWORD
from .user_model import counts_sign_outs, has_field, users

# On the page: more of them are a program's, and nobody looks through them.
MOST = 100


def devices_of(user: Any) -> list[SignedInSession]:
    """Where the user was seen last, up to MOST; what is not true any more goes."""
    live = SignedInSession.objects.live().filter(user=user.pk, engine__in=running_engine.names())
    good_first = Case(When(auth_hash__in=session_registry.hashes_of(user), then=0), default=1)
    # With the user once more: that of a request may have an older password than the rows.
    rows = list(live.select_related("user").order_by(good_first, "-last_seen")[:MOST])
    # By another hash a session has ended, whether or not that could be written down.
    outdated = outdated_among(rows)
    end_outdated(outdated)
    listed = [row for row in rows if row not in outdated]
    alive = stored_sessions.rows_with_session(listed)
    try_write(lambda: stored_sessions.forget_rows_without_session(listed, alive))
    return alive


@contextmanager
def expect_not_ended(row: SignedInSession) -> Iterator[None]:
    """In the admin's log, unless it goes wrong."""
    with transaction.atomic(using=router.db_for_write(SignedInSession)):
        log([row], "DELETION", _("Signed out by its user."), by=row.user)
        yield


def sign_out_everywhere(user: Any, *, by: Any = None, keep: HttpRequest | None = None) -> int:
    """End every session of the user; how many of them the registry knew.

    With SignOutEverywhereMixin it works on every engine, and where the store is away as well:
    it is the user's session hash that ends them. What the store still holds of them is deleted
    beside. Without the mixin each that the registry knows is ended by itself.

    The session of the request ``keep`` goes on, if it is the user's. ``by`` is who asked for
    it, None for somebody at the command line; the admin log tells.

    Raises SessionEndedError, and ends none, if ``keep`` has been signed out while it was under
    way: of two devices that sign each other out, the one that comes first goes on. The second
    click of one device ends none either, and goes on with the session that the first has kept.
    Without the mixin it raises NotEndedError or StoreError for what could not be ended, when
    all else is; and ends none on an engine that cannot end a single session.
    """
    kept = keep if keep is not None and keep.user == user else None
    if counts_sign_outs():
        return end_by_hash(user, by, kept)
    if reason := running_engine.why_not_single():
        remedy = _("With SignOutEverywhereMixin in the user model all of them can be ended.")
        raise stored_sessions.NotEndedError(reason, remedy)
    return end_one_by_one(user, by, kept)


def end_by_hash(user: Any, by: Any, kept: HttpRequest | None) -> int:
    using = users().db
    with transaction.atomic(using=using):
        found = users().filter(pk=user.pk)
        # Locked by this, on every database: of two at once the second sees what the first did.
        found.update(sign_outs=F("sign_outs"))
        names = ("sign_outs", "password", "session_hashes")
        user.refresh_from_db(using=using, fields=list(filter(has_field, names)))
        before = session_registry.hashes_of(user)
        if kept is not None and session_registry.hash_of(kept.session) not in before:
            session_registry.rejoin(kept, user)
            return 0
        user.sign_outs += 1
        found.update(sign_outs=user.sign_outs)
        rows = ended_sessions(user)
        if kept is not None:
            update_session_auth_hash(kept, user)
            # In this transaction, so that a second click finds what goes on.
            session_registry.rewrite(kept.session)
            rows = rows.exclude(pk__in=[session_registry.registered_id(kept.session)])
        log_sign_out(user, by)
        ended = list(rows.live())
    # They have ended by now: the one that goes on must get its new hash, whatever comes of this.
    try_write(lambda: forget_ended(rows))
    for row in ended:
        announce_end(row, EVERYWHERE if row.auth_hash in before else PASSWORD, using=using)
    return sum(row.auth_hash in before for row in ended)


def end_one_by_one(user: Any, by: Any, kept: HttpRequest | None) -> int:
    rows = user.signed_in_sessions.all()
    if kept is not None:
        rows = rows.exclude(pk__in=[session_registry.registered_id(kept.session)])
    log_sign_out(user, by)
    return end_each(rows, EVERYWHERE)


def end_each(rows: SignedInSessionQuerySet, reason: str = ENDED) -> int:
    """End each of those by itself; how many of them were live. ``reason`` is told by the signal.

    Raises NotEndedError or StoreError for one that could not be ended, when all others are.
    """
    listed = list(rows.select_related("user"))
    end_outdated(listed)
    live = rows.live().count()
    failed: list[SessionStoreError] = []
    using = router.db_for_write(SignedInSession)
    for row in listed:
        try:
            # One that stays breaks no transaction that the caller is in.
            with transaction.atomic(using=using):
                row.end_reason = reason
                row.delete()
        except SessionStoreError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return live


def forget_ended(rows: SignedInSessionQuerySet) -> None:
    delete_stored(rows)
    rows.forget()


def ended_sessions(user: Any) -> SignedInSessionQuerySet:
    """Those with a hash that is the user's no more, and so never will be again.

    Somebody may sign in before the last of them is deleted. Asked inside the transaction that has
    changed the hash: no later hash is known yet, and the rows are told by the earlier ones.
    """
    rows: SignedInSessionQuerySet = user.signed_in_sessions.all()
    known = set(rows.order_by().values_list("auth_hash", flat=True).distinct())
    return rows.filter(auth_hash__in=known.difference(session_registry.hashes_of(user)))


def delete_stored(rows: SignedInSessionQuerySet) -> None:
    """Delete what is stored of sessions that open nothing any more, wherever a store answers."""
    away: dict[str, object] = {}
    beyond_reach: set[object] = set()
    for row in rows.exclude(sealed_key="").iterator():
        if row.engine in away:
            continue
        try:
            stored_sessions.delete_stored_session(row)
        except stored_sessions.NotEndedError as error:
            beyond_reach.add(error.reason)
        except SessionStoreError as error:
            away[row.engine] = error
    for reason in (*away.values(), *beyond_reach):
        stored_sessions.log_left_in_store(reason)


def log_sign_out(user: Any, by: Any) -> None:
    message = _("Signed out everywhere.") if by else _("Signed out everywhere by manage.py.")
    log([user], "CHANGE", message, by=by or user)


def log(ended: Sequence[Model], action: str, message: str, *, by: Any) -> None:
    """Into the admin's log, before rows go and lose their ids; where there is an admin."""
    if not apps.is_installed("django.contrib.admin"):
        return
    from django.contrib.admin import models  # noqa: PLC0415 - its table may not be there

    models.LogEntry.objects.log_actions(by.pk, ended, getattr(models, action), message)
