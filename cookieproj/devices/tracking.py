"""Updates the row of a request's session at the end of the request.

``decide`` chooses the step from what is known, without a query. ``perform`` carries it out.
"""

from datetime import timedelta
from enum import Enum, auto
from functools import partial
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from cookieproj.engines import running_engine

from . import auth_hashes, session_registry, stored_sessions
from .deferred_writes import try_write
from .models import SignedInSession
from .refused_sessions import expiry_of, is_refused
from .row_identity import expiry_changed, identity, mark, registered_id
from .signals import SIGNED_OUT
from .user_model import find_user
from .write_throttle import (
    claim,
    expiry_interval,
    is_being_saved,
    last_seen_interval,
    postpone,
)


class RowState(Enum):
    """The row of a session, compared with the session."""

    NOT_READ = auto()
    # The row has the key and the hash that the session has.
    UNCHANGED = auto()
    # The row has another key or another hash.
    CHANGED = auto()
    MISSING = auto()


class Step(Enum):
    """The next step for a session and its row."""

    SKIP = auto()
    # Add a session without a row, which was signed in before the registry existed.
    REGISTER = auto()
    # Write when the session was last seen, and its expiry, if the row is unchanged.
    TOUCH = auto()
    # Insert the row again, because it was lost.
    REPAIR = auto()
    # Write the session's current key and hash to the row.
    UPDATE_IDENTITY = auto()
    # Delete the stored session: it has ended, and an old copy in a cache has opened it again.
    REVOKE = auto()
    # Set no cookie if a later request has kept the session: the browser may have its cookie.
    YIELD = auto()


def decide(
    row_id: str | None,
    *,
    needs_update: bool,
    row_state: RowState = RowState.NOT_READ,
    is_still_signed_in: bool = False,
) -> Step:
    """Return the next step for a signed-in session; ``row_id`` is the row id that it contains.

    ``is_still_signed_in`` says whether the session is valid with the key and the hash that this
    request knows. It matters only if the row is changed or missing.
    """
    match row_id, needs_update, row_state:
        case None, _, _:
            return Step.REGISTER
        case _, False, _:
            return Step.SKIP
        case _, _, RowState.NOT_READ:
            return Step.TOUCH
        case _, _, RowState.MISSING:
            return Step.REPAIR if is_still_signed_in else Step.REVOKE
        case _, _, RowState.CHANGED:
            return Step.UPDATE_IDENTITY if is_still_signed_in else Step.YIELD
    return Step.SKIP


def track(request: HttpRequest) -> None:
    """Update the registry for the request's session, if it is signed in and needs an update.

    The time at which a session was last seen is written once in LAST_SEEN_INTERVAL seconds. The
    function reads the session, so it is called only for requests that have read it. It reads the
    user only for an update. An update that the database refuses is written later. The refusal of a
    session is needed at once, so its error is raised.
    """
    session = request.session
    row_id = registered_id(session)
    was_refused = hasattr(request, session_registry.REFUSED_DATA_ATTRIBUTE)
    if session.modified and (row_id is None or was_refused):
        session_registry.deregister_previous(request, SIGNED_OUT)
    if SESSION_KEY not in session:
        return
    if not try_write(partial(update_row, request, row_id)):
        postpone(session)


def update_row(request: HttpRequest, row_id: str | None) -> None:
    step = decide(row_id, needs_update=row_id is not None and claim(request.session))
    # Reading the user checks the session's hash, which may be that of an old password.
    if step is not Step.SKIP and request.user.is_authenticated:
        perform(step, request, request.user, row_id)


def perform(
    step: Step,
    request: HttpRequest,
    user: Any,
    row_id: str | None,
    row: SignedInSession | None = None,
) -> None:
    """Carry out the step. ``row`` is the row with that id, if it was read."""
    session = request.session
    rows = SignedInSession.objects.filter(pk__in=[row_id])
    match step:
        case Step.REGISTER:
            session_registry.register_existing(request, user)
        case Step.TOUCH:
            touch(request, user, str(row_id))
            # The session has ended if its row was lost, and DEVICES_LIMIT allows no other one.
            if SESSION_KEY in session and expiry_changed(session):
                mark(session, str(row_id))
        case Step.REPAIR if not is_refused(str(row_id)):
            session_registry.add_late(request, user, str(row_id))
        case Step.UPDATE_IDENTITY if row is not None:
            # Only if the row is as it was read: another request may have updated it since.
            rows.filter(**row.identity).update(
                **row_of(session).identity, **changed_columns(session)
            )
        case Step.REVOKE if row_of(session).sealed_key:
            # The cache that had the copy was unreachable when the session ended.
            session.delete(session.session_key)
        case Step.YIELD if row is not None and is_overtaken(request, row):
            session.modified = False


def touch(request: HttpRequest, user: Any, row_id: str) -> None:
    """Update an unchanged row by one statement. If none matches, read the row and decide again."""
    session = request.session
    own_row, values = row_of(session), changed_columns(session)
    interval = timedelta(seconds=last_seen_interval(session))
    needs_update = Q(last_seen__lt=values["last_seen"] - interval)
    if expires := values.get("expires"):
        max_lag = timedelta(seconds=expiry_interval(session))
        needs_update |= Q(expires__lt=expires - max_lag) | Q(expires__gt=expires)
    rows = SignedInSession.objects.filter(pk=row_id)
    if rows.filter(needs_update, **own_row.identity).update(**values):
        return
    row = rows.first()
    row_state = compare_row(row, own_row)
    step = decide(
        row_id,
        needs_update=True,
        row_state=row_state,
        is_still_signed_in=(
            row_state is not RowState.UNCHANGED and is_still_signed_in(own_row, user)
        ),
    )
    perform(step, request, user, row_id, row)


def row_of(session: SessionBase) -> SignedInSession:
    """Return an unsaved row with only the columns of ``SignedInSession.identity``."""
    return SignedInSession(**identity(session))


def changed_columns(session: SessionBase) -> dict[str, Any]:
    """Return the columns to update in the row of a session that continues, with their values."""
    values = {"last_seen": timezone.now()}
    return values | {"expires": expiry_of(session)} if is_being_saved(session) else values


def compare_row(row: SignedInSession | None, own_row: SignedInSession) -> RowState:
    if row is None:
        return RowState.MISSING
    return RowState.UNCHANGED if row.identity == own_row.identity else RowState.CHANGED


def is_still_signed_in(own_row: SignedInSession, user: Any) -> bool:
    """Whether a session with that key and hash is signed in now.

    The user is read again, because another request may have changed the key or the password since
    this one read them.
    """
    current_user = find_user(user.pk)
    if current_user is None or own_row.auth_hash not in auth_hashes.hashes_of(current_user):
        return False
    if not stored_sessions.rows_with_session([own_row]):
        return False
    # A key that was renewed leads to the session, but must not replace the new one in the row.
    key = own_row.session_key
    return not key or bool(running_engine.store()().exists(key))


def is_overtaken(request: HttpRequest, row: SignedInSession) -> bool:
    """Whether this request has kept its session, and a later one has kept it again.

    A request keeps its session when it changes the password or signs out all others. The later
    request makes the hash of the earlier one invalid.
    """
    _session, data = session_registry.session_at_start(request)
    hash_at_start, own_hash = auth_hashes.hash_of(data), auth_hashes.hash_of(request.session)
    user = find_user(row.user_id)
    user_hashes = auth_hashes.hashes_of(user) if user else []
    return (
        hash_at_start != own_hash and own_hash not in user_hashes and row.auth_hash in user_hashes
    )
