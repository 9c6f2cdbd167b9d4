"""Your devices: where a user is signed in, and out again."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.contrib import messages
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.auth import logout, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.db import router, transaction
from django.db.models import F, Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from cookieproj.engines.exceptions import SessionEndedError, SessionStoreError

from . import engine, following, index, liveness
from .luxury import is_written
from .models import SignedInSession, SignedInSessions, User
from .posting import require_post

# On the page: more of them are a program's, and nobody looks through them.
MOST = 100


@require_safe
@never_cache
@login_required
def your_devices(request: HttpRequest) -> HttpResponse:
    user = signed_in_user(request)
    # Now, not after this page: it shows what the index knows.
    following.follow(request)
    this = index.known_row(request.session)
    context = {
        "devices": sorted(devices_of(user), key=lambda device: str(device.pk) != this),
        "this": this,
        "most": MOST,
        "why_not_one": engine.why_not_one(),
    }
    return render(request, "demo/devices.html", context)


def devices_of(user: User) -> list[SignedInSession]:
    """Where the user was seen last, up to MOST; what is not true any more goes."""
    live = user.signed_in_sessions.live().filter(engine__in=engine.names())
    # By another hash a session has ended, whether or not that could be written down.
    rows = live.filter(auth_hash__in=index.hashes_of(user))
    listed = list(rows.order_by("-last_seen")[:MOST])
    alive = liveness.alive(listed)
    is_written(lambda: liveness.forget_gone(listed, alive))
    return alive


@require_post(page="demo:devices")
@login_required
def sign_out_one(request: HttpRequest, pk: str) -> HttpResponse:
    row = signed_in_user(request).signed_in_sessions.filter(pk=pk).first()
    if row is None:
        # By another click, or elsewhere. Whether it is somebody else's is nobody's business.
        messages.info(request, _("That device is already signed out."))
    elif str(row.pk) == index.known_row(request.session):
        with ending(row):
            logout(request)
    elif reason := engine.why_not_one():
        messages.error(request, reason)
    else:
        names = {"device": row.device}
        try:
            with ending(row):
                row.delete()
        except liveness.NotEndedError as error:
            text = _(
                "%(device)s is not signed out. %(reason)s Sign out all other devices instead, "
                "which needs no key."
            )
            messages.error(request, text % (names | {"reason": error.reason}))
        else:
            messages.success(request, _("%(device)s is signed out.") % names)
    return redirect("demo:devices")


@contextmanager
def ending(row: SignedInSession) -> Iterator[None]:
    """In the admin's log, unless it goes wrong."""
    with transaction.atomic(using=router.db_for_write(SignedInSession)):
        log([row], DELETION, _("Signed out by its user."), by=row.user)
        yield


@require_post(page="demo:devices")
@login_required
def sign_out_others(request: HttpRequest) -> HttpResponse:
    user = signed_in_user(request)
    try:
        ended = sign_out_everywhere(user, by=user, keep=request)
    except SessionEndedError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, devices_signed_out(ended))
    return redirect("demo:devices")


def signed_in_user(request: HttpRequest) -> User:
    """Behind login_required there is one."""
    user: User = request.user  # type: ignore[assignment]
    return user


def devices_signed_out(number: int) -> str:
    if not number:
        # Or the other click of a double one has signed them out.
        return _("No other device is signed in.")
    text = ngettext(
        "%(number)d device is signed out.", "%(number)d devices are signed out.", number
    )
    return text % {"number": number}


def sign_out_everywhere(
    user: User, *, by: User | None = None, keep: HttpRequest | None = None
) -> int:
    """End every session of the user; how many of them the index knew.

    Works on every engine, and where the store is away as well: it is the user's session
    hash that ends them. What the store still holds of them is deleted beside. The session
    of the request ``keep`` goes on, if it is the user's. ``by`` is who asked for it,
    None for somebody at the command line; the admin log tells.

    Raises SessionEndedError, and ends none, if ``keep`` has been signed out while it was under
    way: of two devices that sign each other out, the one that comes first goes on. The second
    click of one device ends none either, and goes on with the session that the first has kept.
    """
    using = router.db_for_write(User)
    with transaction.atomic(using=using):
        users = User.objects.filter(pk=user.pk)
        # Locked by this, on every database: of two at once the second sees what the first did.
        users.update(sign_outs=F("sign_outs"))
        user.refresh_from_db(using=using, fields=["sign_outs", "password", "session_hashes"])
        kept = keep if keep is not None and keep.user == user else None
        if kept is not None and index.hash_of(kept.session) not in index.hashes_of(user):
            index.rejoin(kept, user)
            return 0
        user.sign_outs += 1
        users.update(sign_outs=user.sign_outs)
        rows = ended_sessions(user)
        if kept is not None:
            update_session_auth_hash(kept, user)
            # In this transaction, so that a second click finds what goes on.
            index.rewrite(kept.session)
            rows = rows.exclude(pk__in=[index.known_row(kept.session)])
        message = _("Signed out everywhere.") if by else _("Signed out everywhere by manage.py.")
        log([user], CHANGE, message, by=by or user)
        ended = rows.live().count()
    # They have ended by now: the one that goes on must get its new hash, whatever comes of this.
    is_written(lambda: forget_ended(rows))
    return ended


def forget_ended(rows: SignedInSessions) -> None:
    delete_stored(rows)
    rows.forget()


def ended_sessions(user: User) -> SignedInSessions:
    """Those with a hash that is the user's no more, and so never will be again.

    Somebody may sign in before the last of them is deleted. Asked inside the transaction that has
    changed the hash: no later hash is known yet, and the rows are told by the earlier ones.
    """
    rows = user.signed_in_sessions.all()
    known = set(rows.order_by().values_list("auth_hash", flat=True).distinct())
    return rows.filter(auth_hash__in=known.difference(index.hashes_of(user)))


def delete_stored(rows: SignedInSessions) -> None:
    """Delete what is stored of sessions that open nothing any more, wherever a store answers."""
    away: dict[str, object] = {}
    beyond_reach: set[object] = set()
    for row in rows.exclude(sealed_key="").iterator():
        if row.engine in away:
            continue
        try:
            liveness.end(row)
        except liveness.NotEndedError as error:
            beyond_reach.add(error.reason)
        except SessionStoreError as error:
            away[row.engine] = error
    for reason in (*away.values(), *beyond_reach):
        liveness.tell_stored(reason)


def log(ended: Sequence[Model], action: int, message: str, *, by: User) -> None:
    """Into the admin's log, before rows go and lose their ids."""
    LogEntry.objects.log_actions(by.pk, ended, action, message)
