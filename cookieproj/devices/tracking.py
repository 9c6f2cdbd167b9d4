"""After each request: what has become of its session is written down in the session's row.

What is to be done is decided in one place, by what is known and nothing else, and done in another.
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

from . import session_registry, stored_sessions
from .deferred_writes import try_write
from .models import SignedInSession
from .refused_sessions import expiry_of, is_refused
from .signals import SIGNED_OUT
from .user_model import find_user


class FoundRow(Enum):
    """The row of a session, once it was looked for."""

    UNSEEN = auto()
    # With the key and the hash that the session has.
    THE_SAME = auto()
    ANOTHER = auto()
    NONE = auto()


class Step(Enum):
    """What is to be done about a session and its row."""

    SKIP = auto()
    # Write down a session that holds no row: it was signed in before there was a registry.
    ADOPT = auto()
    # Write when it was seen, and when it expires, where the row is as the session knows it.
    TOUCH = auto()
    # Bring back the row, which was lost.
    REPAIR = auto()
    # Write the key and the hash that the session has by now.
    MOVE = auto()
    # End what is stored: the session has ended, and a copy of it has opened it again.
    REVOKE = auto()
    # Leave the browser the cookie of another request, if that has kept the session since.
    YIELD = auto()


def decide(
    row: str | None,
    *,
    is_news: bool,
    found: FoundRow = FoundRow.UNSEEN,
    is_still_signed_in: bool = False,
) -> Step:
    """What to do about a signed-in session, by the id of its row, which the session holds.

    ``is_still_signed_in``, by the key and the hash that this request knows, matters only where the
    row has others, or there is none.
    """
    match row, is_news, found:
        case None, _, _:
            return Step.ADOPT
        case _, False, _:
            return Step.SKIP
        case _, _, FoundRow.UNSEEN:
            return Step.TOUCH
        case _, _, FoundRow.NONE:
            return Step.REPAIR if is_still_signed_in else Step.REVOKE
        case _, _, FoundRow.ANOTHER:
            return Step.MOVE if is_still_signed_in else Step.YIELD
    return Step.SKIP


def track(request: HttpRequest) -> None:
    """Write down what has become of this session, if it is signed in and that is news.

    When it was last seen is news once in SEEN_EVERY seconds. Reads the session, so this
    is for requests that have read it; asks the database for the user only if there is news.
    What the database does not take now is written later; but a refusal is needed now.
    """
    session = request.session
    row = session_registry.registered_id(session)
    if session.modified and (row is None or hasattr(request, session_registry.REFUSED_DATA)):
        session_registry.deregister_previous(request, SIGNED_OUT)
    if SESSION_KEY not in session:
        return
    if not try_write(partial(write_changes, request, row)):
        session_registry.postpone(session)


def write_changes(request: HttpRequest, row: str | None) -> None:
    step = decide(row, is_news=row is not None and session_registry.claim(request.session))
    # The user is what says that the session still holds: its hash may be an old password's.
    if step is not Step.SKIP and request.user.is_authenticated:
        perform(step, request, request.user, row)


def perform(
    step: Step,
    request: HttpRequest,
    user: Any,
    pk: str | None,
    row: SignedInSession | None = None,
) -> None:
    """``row`` is what was found under that id, if it was looked for."""
    session = request.session
    rows = SignedInSession.objects.filter(pk__in=[pk])
    match step:
        case Step.ADOPT:
            session_registry.register_existing(request, user)
        case Step.TOUCH:
            touch(request, user, str(pk))
            if session_registry.expiry_changed(session):
                session_registry.mark(session, str(pk))
        case Step.REPAIR if not is_refused(str(pk)):
            session_registry.insert(session_registry.make_row(request, user, str(pk)))
        case Step.MOVE if row is not None:
            # Only what was read is replaced: another request may have gone further.
            rows.filter(**row.identity).update(
                **row_to_find(session).identity, **changed_columns(session)
            )
        case Step.REVOKE if row_to_find(session).sealed_key:
            # A copy in a cache that was away as the session ended: not twice.
            session.delete(session.session_key)
        case Step.YIELD if row is not None and is_overtaken(request, row):
            # The browser may have the other's cookie already.
            session.modified = False


def touch(request: HttpRequest, user: Any, pk: str) -> None:
    """One statement where the row is as this session knows it, as it nearly always is."""
    session = request.session
    ours, values = row_to_find(session), changed_columns(session)
    late = timedelta(seconds=session_registry.seen_every(session))
    differs = Q(last_seen__lt=values["last_seen"] - late)
    if expires := values.get("expires"):
        differs |= Q(expires__lt=expires - late) | Q(expires__gt=expires)
    rows = SignedInSession.objects.filter(pk=pk)
    if rows.filter(differs, **ours.identity).update(**values):
        return
    row = rows.first()
    found = compare_row(row, ours)
    is_in_doubt = found is not FoundRow.THE_SAME
    step = decide(
        pk,
        is_news=True,
        found=found,
        is_still_signed_in=is_in_doubt and is_still_signed_in(ours, user),
    )
    perform(step, request, user, pk, row)


def row_to_find(session: SessionBase) -> SignedInSession:
    """A row with what finds this session, and tells whether it is still signed in."""
    return SignedInSession(**session_registry.identity(session))


def changed_columns(session: SessionBase) -> dict[str, Any]:
    """What changes in the row of a session that goes on."""
    values = {"last_seen": timezone.now()}
    return (
        values | {"expires": expiry_of(session)}
        if session_registry.is_being_saved(session)
        else values
    )


def compare_row(row: SignedInSession | None, ours: SignedInSession) -> FoundRow:
    if row is None:
        return FoundRow.NONE
    return FoundRow.THE_SAME if row.identity == ours.identity else FoundRow.ANOTHER


def is_still_signed_in(known: SignedInSession, user: Any) -> bool:
    """Whether a session with that key and hash is still signed in, whatever this request thinks.

    While it was under way another one may have changed the key or the password.
    """
    current = find_user(user.pk)
    if current is None or known.auth_hash not in session_registry.hashes_of(current):
        return False
    return bool(stored_sessions.rows_with_session([known]))


def is_overtaken(request: HttpRequest, row: SignedInSession) -> bool:
    """Whether this request has kept its session, and another one after it has kept it once more.

    By a new password that is sent twice, or while all others are signed out: either ends the
    other's hash.
    """
    came, ours = (
        session_registry.hash_of(session_registry.session_at_start(request)[1]),
        session_registry.hash_of(request.session),
    )
    user = find_user(row.user_id)
    hashes = session_registry.hashes_of(user) if user else []
    return came != ours and ours not in hashes and row.auth_hash in hashes
