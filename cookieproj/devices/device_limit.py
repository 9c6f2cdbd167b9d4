"""DEVICES_LIMIT: a user is signed in on at most so many devices, whoever signs in at once.

A sign-in locks the user's row, counts the sessions, and adds its own. Only sessions that exist
count, so that nobody is kept out by rows of sessions that are gone.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from operator import attrgetter
from typing import Any

from django.contrib import messages
from django.contrib.auth import SESSION_KEY
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cookieproj.engines import running_engine

from . import auth_hashes, conf, stored_sessions
from .models import SignedInSession
from .signals import DEVICE_LIMIT
from .user_model import password_model, users

# The row is written before the response stores the user in the session. For so long a session
# without a user counts as one whose response is under way.
SIGN_IN_DURATION = timedelta(minutes=1)


class SignInRefusedError(PermissionDenied):
    """A sign-in is refused because of DEVICES_LIMIT. ``limit`` is the number of devices.

    ``login()`` raises it, and nobody is signed in by the request. DevicesMiddleware renders its
    page. Outside of views it is Django's 403.
    """

    def __init__(self, limit: int) -> None:
        text = ngettext(
            "You are already signed in on %(limit)d device, and cannot be on more. Sign out there, "
            "then sign in here again.",
            "You are already signed in on %(limit)d devices, and cannot be on more. Sign out on "
            "one of them, then sign in here again.",
            limit,
        )
        super().__init__(text % {"limit": limit})
        self.limit = limit


def add(
    row: SignedInSession, user: Any, write: Callable[[SignedInSession], object]
) -> list[SignedInSession]:
    """Call ``write`` with the row, within the user's limit. Return the rows that ended for it.

    A session that has its row already is not one more. Raises SignInRefusedError, StoreError if a
    store does not answer, or a database's error; then the row is not written.
    """
    limit = conf.limit(user)
    if limit is None:
        write(row)
        return []
    with transaction.atomic(using=users().db):
        lock(user)
        excess = sessions_over(limit, row, user)
        is_refused = bool(excess) and refuses()
        if not is_refused:
            for oldest in excess:
                oldest.end_reason = DEVICE_LIMIT
                oldest.delete()
            write(row)
    # After the commit, which deletes the rows of sessions that are gone.
    if is_refused:
        raise SignInRefusedError(limit)
    return excess


def refuses() -> bool:
    """Whether a sign-in over the limit is refused: by the setting, or if no session can end."""
    return conf.over_limit() == conf.REFUSE or bool(running_engine.why_not_single())


def lock(user: Any) -> None:
    """Lock the user's row until the transaction ends, by an update, which every database locks."""
    model: Any = password_model()
    fields = [field for field in model._meta.local_concrete_fields if not field.generated]
    # The primary key only if there is no other column.
    column = min(fields, key=attrgetter("primary_key")).name
    rows = model._base_manager.using(users().db).filter(pk=getattr(user, model._meta.pk.attname))
    rows.update(**{column: F(column)})


def sessions_over(limit: int, row: SignedInSession, user: Any) -> list[SignedInSession]:
    """Return the sessions that must end before the row's is added, the last seen last.

    A session is old if it has not been used for long, not if its sign-in is long ago: nobody
    expects the device that they use every day to be signed out. Deletes rows of sessions that are
    gone.
    """
    rows = SignedInSession.objects.filter(user=user.pk, engine__in=running_engine.names())
    known = list(rows.order_by("last_seen", "signed_in_at"))
    if str(row.pk) in {str(other.pk) for other in known}:
        return []
    now, hashes = timezone.now(), auth_hashes.hashes_of(user)
    valid = [other for other in known if other.expires > now and other.auth_hash in hashes]
    if len(valid) < limit:
        return []
    stored = stored_sessions.rows_with_session(valid)
    signed_in = [
        other
        for other in stored
        if other.signed_in_at > now - SIGN_IN_DURATION or is_signed_in(other)
    ]
    stored_sessions.forget_rows_without_session(valid, signed_in)
    return signed_in[: max(0, len(signed_in) - limit + 1)]


def is_signed_in(row: SignedInSession) -> bool:
    """Whether the stored session has a user; it has none if the sign-in's response failed."""
    return not row.sealed_key or SESSION_KEY in running_engine.store()(row.session_key)


def tell_ended(request: HttpRequest, ended: Sequence[SignedInSession], user: Any) -> None:
    """Add a message for the next page, if the site has messages."""
    limit = conf.limit(user) if ended else None
    if limit is None:
        return
    text = ngettext(
        "Signed out: %(devices)s. You can be signed in on only %(limit)d device.",
        "Signed out: %(devices)s. You can be signed in on at most %(limit)d devices.",
        limit,
    )
    devices = ", ".join(dict.fromkeys(row.device for row in ended))
    # A TypeError: the request is a wrapper of another framework's, and the site has no messages.
    with suppress(TypeError):
        messages.info(request, text % {"devices": devices, "limit": limit}, fail_silently=True)


def describe(user: Any) -> str:
    """Return the user's limit in words for the devices page; empty if there is none."""
    limit = conf.limit(user)
    if limit is None:
        return ""
    if refuses():
        then = _("To sign in on another one, sign out on one of them first.")
    else:
        then = _("A sign-in on another one signs out the one not used for longest.")
    text = ngettext(
        "You can be signed in on only %(limit)d device.",
        "You can be signed in on at most %(limit)d devices.",
        limit,
    )
    # Chinese has no space between sentences.
    return _("%(sentence)s %(next)s") % {"sentence": text % {"limit": limit}, "next": then}


def refused_page(request: HttpRequest, error: SignInRefusedError) -> HttpResponse:
    context = {"limit": error.limit, "reason": str(error)}
    return render(request, "cookieproj_devices/sign_in_refused.html", context, status=403)
