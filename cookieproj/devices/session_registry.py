"""Adds sessions to the registry of signed-in sessions, and removes those that have ended.

``row_identity`` describes how a session and its row find each other. A change of a session costs
one statement.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, update_session_auth_hash
from django.contrib.sessions.backends.base import SessionBase
from django.db import connections, router
from django.http import HttpRequest
from django.utils import timezone

from cookieproj.engines import running_engine
from cookieproj.engines.admission import ADMISSION_ATTRIBUTE
from cookieproj.engines.exceptions import SessionEndedError
from cookieproj.engines.merge import Data
from cookieproj.engines.signed_ids import without_signature

from . import auth_hashes, device_limit, known_devices, stored_sessions
from .bound.binding import binding_of
from .bound.registering import columns_of
from .client_info import address_of, device_of
from .deferred_writes import try_write
from .device_limit import SignInRefusedError
from .models import SignedInSession, SignedInSessionQuerySet
from .refused_sessions import expiry_of, is_refused, refuse
from .row_identity import id_from_key, identity, mark, registered_id
from .signals import DEVICE_LIMIT, PASSWORD, REPLACED
from .signals_on_commit import announce_end, announce_start
from .user_model import find_user
from .write_throttle import claim, postpone

# On a request: the id of the row that its sign-out has already removed.
SIGNED_OUT_ATTRIBUTE = "signed_out_session"

# On a request: the data of its session, which Django has flushed because the session hash is not
# the user's.
REFUSED_DATA_ATTRIBUTE = "refused_session_data"


def register(request: HttpRequest, user: Any) -> None:
    """Add the session to the registry, or update its row if it has one.

    If the database refuses the write, a later request of the session writes the row under the id
    that is now in the session. Raises SignInRefusedError after the sign-in is undone.
    """
    session = request.session
    known_id = registered_id(session)
    if known_id and running_engine.browsers_may_hold() and is_refused(known_id):
        # A concurrent request has signed out, so this is the start of another session.
        known_id = None
    if session.session_key is None:
        # The session was another user's, and Django has flushed it.
        deregister_previous(request, REPLACED)
        session.save()
    row_id = known_id or str(uuid4())
    row = make_row(request, user, row_id)
    ended: list[SignedInSession] = []
    try:
        is_written = try_write(lambda: ended.extend(device_limit.add(row, user, upsert)))
    except SignInRefusedError:
        undo_sign_in(request)
        raise
    device_limit.tell_ended(request, ended, user)
    mark(session, row_id)
    if is_written:
        claim(session)
    else:
        postpone(session)
    if not known_id:
        announce_start(request, row)
        known_devices.recognize(request, user, row)


def undo_sign_in(request: HttpRequest) -> None:
    """End the session of a sign-in that is refused, and the one that it continues.

    The cookie is only deleted if it may open a signed-in session. Otherwise a sign-in in another
    tab of the browser may have replaced it.
    """
    _session, data = session_at_start(request)
    was_signed_in = SESSION_KEY in data
    request.session.flush()
    request.session.modified = was_signed_in
    if hasattr(request, "user"):
        # As in Django's ``logout``: its table exists only if its app is installed.
        from django.contrib.auth.models import AnonymousUser  # noqa: PLC0415

        request.user = AnonymousUser()


def end_restored(request: HttpRequest) -> None:
    """End the session that a refused sign-in has replaced, and that a rollback has restored."""
    if session_key := ended_key(request):
        running_engine.store()().delete(session_key)
    deregister_previous(request, REPLACED)


def add_late(request: HttpRequest, user: Any, row_id: str) -> bool:
    """Add the row of a session that is in use already, and return whether it is still signed in.

    It is not if DEVICES_LIMIT would have refused the sign-in.
    """
    row = make_row(request, user, row_id)
    try:
        device_limit.add(row, user, insert)
    except SignInRefusedError:
        stored_sessions.delete_stored_session(row)
        request.session.flush()
        announce_end(row, DEVICE_LIMIT)
        return False
    return True


def register_existing(request: HttpRequest, user: Any) -> None:
    """Add a session that was signed in before the registry existed, or without Django's signal.

    The row's id is derived from the session key, so concurrent requests agree on it.
    """
    session = request.session
    row_id = id_from_key(session.session_key or "")
    if add_late(request, user, row_id):
        mark(session, row_id)
        claim(session)


def make_row(request: HttpRequest, user: Any, row_id: str) -> SignedInSession:
    """Return a new row of the request's session, which is not saved."""
    browser, system = device_of(request)
    return SignedInSession(
        pk=row_id,
        user=user,
        browser=browser,
        system=system,
        address=address_of(request),
        expires=expiry_of(request.session),
        **columns_of(binding_of(request.session)),
        **identity(request.session),
    )


def insert(row: SignedInSession) -> None:
    """Insert the row, unless there is one with its id."""
    SignedInSession.objects.bulk_create([row], ignore_conflicts=True)


def upsert(row: SignedInSession) -> None:
    """Insert or replace the row by one statement, as a concurrent request may insert it too."""
    columns = [field.name for field in row._meta.concrete_fields if not field.primary_key]
    features = connections[router.db_for_write(SignedInSession)].features
    by_id = ["id"] if features.supports_update_conflicts_with_target else None
    SignedInSession.objects.bulk_create(
        [row], update_conflicts=True, update_fields=columns, unique_fields=by_id
    )


def update_identity(session: SessionBase) -> None:
    """Write the session's current key and hash to its row, in the transaction of the caller."""
    row = SignedInSession(**identity(session))
    SignedInSession.objects.filter(pk__in=[registered_id(session)]).update(**row.identity)


def rejoin(request: HttpRequest, user: Any) -> None:
    """Continue with the session that a concurrent request kept as it ended the user's others.

    That request had the same session as this one. Both responses then have the same session key, if
    there is one: the browser is signed in with either, and no stored session is orphaned. Raises
    SessionEndedError if another device has changed the hash: this session is signed out.
    """
    rows = user.signed_in_sessions.filter(auth_hash__in=auth_hashes.hashes_of(user))
    row = rows.filter(pk__in=[registered_id(request.session)]).first()
    if row is None:
        raise SessionEndedError
    if session_key := row.session_key:
        request.session = running_engine.store()(session_key)
        request.session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    else:
        # The browser has the session, so each response sets a cookie of its own.
        update_session_auth_hash(request, user)


def deregister_previous(request: HttpRequest, reason: str) -> None:
    """Remove the session that the request started with, if it was emptied or taken over.

    ``session_ended`` is sent with ``reason``, or with PASSWORD if the session hash was not the
    user's any more.
    """

    def remove(rows: SignedInSessionQuerySet) -> None:
        for row in rows.select_related("user"):
            is_live = row.expires > timezone.now()
            if SignedInSession.objects.filter(pk=row.pk, **row.identity).forget() and is_live:
                has_hash_of_user = row.auth_hash in auth_hashes.hashes_of(row.user)
                announce_end(row, reason if has_hash_of_user else PASSWORD)

    session, data = session_at_start(request)
    row_id = registered_id(data)
    signed_out_id = getattr(request, SIGNED_OUT_ATTRIBUTE, None)
    if row_id is None and (session_key := ended_key(request)):
        rows = SignedInSession.objects.filter(engine__in=running_engine.names())
        try_write(lambda: remove(rows.with_keys([session_key])))
    elif row_id not in {None, registered_id(request.session), signed_out_id}:
        deregister(str(row_id), data, expiry_of(session), remove=remove)


def ended_key(request: HttpRequest) -> str | None:
    """Return the key in the request's cookie if the request has ended that session; else None.

    It is needed if the session's data is unknown: always with Django's engines, and with ours if
    nothing had read the session. It is None for other sessions of visitors, which saves a query,
    and for a session that has only changed its key.
    """
    session = request.session
    session_key: str | None = without_signature(request.COOKIES.get(settings.SESSION_COOKIE_NAME))
    has_ended = (
        session.is_empty() or SESSION_KEY in session or hasattr(request, REFUSED_DATA_ATTRIBUTE)
    )
    is_other = session_key != session.session_key and not hasattr(request, SIGNED_OUT_ATTRIBUTE)
    if has_ended and is_other and not running_engine.is_held_by_browser():
        return session_key
    return None


def session_at_start(request: HttpRequest) -> tuple[SessionBase, Data]:
    """Return a session with the expiry of the one that the request started with, and its data.

    The data is read-only.
    """
    if running_engine.is_held_by_browser():
        session = running_engine.store()(request.COOKIES.get(settings.SESSION_COOKIE_NAME))
        # A request that may not open the session must not end it.
        session.admission = getattr(request, ADMISSION_ATTRIBUTE, None)  # type: ignore[attr-defined]
        return session, dict(session.items())
    data = getattr(request, REFUSED_DATA_ATTRIBUTE, None)
    return request.session, getattr(request.session, "loaded", {}) if data is None else data


def deregister(
    row_id: str,
    data: SessionBase | Data,
    expires: datetime,
    user: Any = None,
    remove: Callable[[SignedInSessionQuerySet], object] = SignedInSessionQuerySet.forget,
) -> None:
    """Remove the row of a session that has ended, and refuse copies of its cookie.

    ``data`` is the session, or its data, as the request started with it. ``user`` is its user, if
    known.

    A request may start with an old copy of a session that a sign-out of all others or a new
    password has kept, under the same row. So the row is only removed if it has the hash of the
    copy, or if that hash is still the user's and the row has another of the user's hashes. The
    session is only refused if the hash is still the user's; if not, Django refuses it anyway.
    """
    hash_at_start = auth_hashes.hash_of(data)
    may_be_in_cookie = running_engine.browsers_may_hold()
    if may_be_in_cookie:
        # ``user`` may have been read before another request ended the session.
        user = find_user(data.get(SESSION_KEY))
    user_hashes = auth_hashes.hashes_of(user) if user else [hash_at_start]
    is_current = hash_at_start in user_hashes
    if may_be_in_cookie and is_current:
        # Another copy of the cookie may have a later expiry.
        rows = SignedInSession.objects.filter(pk=row_id)
        row_expires = rows.values_list("expires", flat=True).first()
        refuse(row_id, max(expires, row_expires) if row_expires else expires)
    hashes = user_hashes if is_current else [hash_at_start]
    try_write(lambda: remove(SignedInSession.objects.filter(pk=row_id, auth_hash__in=hashes)))
