"""The registry of signed-in sessions: what keeps it true, on every engine.

A session that is signed in holds the id of its row in its data. So the row is found
again whatever becomes of the session key, and without a query: only what is worth
writing down is written, by one statement.
"""

import re
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, update_session_auth_hash
from django.contrib.sessions.backends.base import SessionBase
from django.core.cache.backends.locmem import LocMemCache
from django.db import connections, router
from django.http import HttpRequest
from django.utils import timezone

from cookieproj.engines import running_engine
from cookieproj.engines.constants import EXPIRY_ITEM
from cookieproj.engines.exceptions import SessionEndedError
from cookieproj.engines.merge import Data

from .announcements import announce_end, announce_start
from .client_info import address_of, device_of
from .constants import ADOPTED, ROW
from .deferred_writes import try_write
from .models import SignedInSession, SignedInSessionQuerySet
from .refused_sessions import expiry_of, is_refused, refuse
from .signals import PASSWORD, REPLACED
from .user_model import find_user

UUID_TEXT = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# Where a request keeps the row that it has signed out, and so forgotten, already.
SIGNED_OUT = "signed_out_session"

# Where a request keeps the data of a session that was refused, as its hash is not its user's.
REFUSED_DATA = "refused_session_data"

# Seconds between two writes of when a session was last seen.
SEEN_EVERY = 300

# Seconds until what could not be written is tried again.
AGAIN_AFTER = 10

# What this process has lately written down, so that it need not ask the database.
written = LocMemCache("cookieproj.devices", {"OPTIONS": {"MAX_ENTRIES": 10_000}})


def register(request: HttpRequest, user: Any) -> None:
    """Write down that this session is signed in; again under its id, if it was so before.

    What the database does not take now is written by a later request of the session, by what
    is noted in it.
    """
    session = request.session
    known = registered_id(session)
    if known and running_engine.browsers_may_hold() and is_refused(known):
        # Another request has signed out meanwhile: what begins here is another session.
        known = None
    if session.session_key is None:
        # Another user was signed in with it before, so its data and its key are gone.
        deregister_previous(request, REPLACED)
        session.save()
    row = known or str(uuid4())
    begun = make_row(request, user, row)
    is_done = try_write(lambda: replace(begun))
    mark(session, row)
    if is_done:
        claim(session)
    else:
        postpone(session)
    if not known:
        announce_start(request, begun)


def register_existing(request: HttpRequest, user: Any) -> None:
    """Write down a session that was signed in before there was a registry, or past the signals.

    Under an id that follows from its key: another request may be doing the same.
    """
    session = request.session
    row = id_from_key(session.session_key or "")
    insert(make_row(request, user, row))
    mark(session, row)
    claim(session)


def id_from_key(session_key: str) -> str:
    """The id that the row of a session with that key has, if it was adopted.

    Nobody finds the key by it, nor does it become another with another SECRET_KEY.
    """
    return str(UUID(bytes=sha256(f"{ADOPTED}{session_key}".encode()).digest()[:16]))


def registered_id(session: SessionBase | Data) -> str | None:
    """The id of the session's row, which the session itself, or its data, holds.

    None for what this registry cannot have put there.
    """
    match session.get(ROW):
        case [str(row), _] if UUID_TEXT.fullmatch(row):
            return row
    return None


def id_of(session: SessionBase | Data, session_key: str | None) -> str | None:
    """The id of its row; of one from before there was a registry the id by which it is adopted."""
    if row := registered_id(session):
        return row
    return id_from_key(session_key or "") if SESSION_KEY in session else None


def mark(session: SessionBase, row: str) -> None:
    """In the session: its row, and the expiry of its own that the row was written with."""
    session[ROW] = [row, session.get(EXPIRY_ITEM)]


def make_row(request: HttpRequest, user: Any, row: str) -> SignedInSession:
    browser, system = device_of(request)
    return SignedInSession(
        pk=row,
        user=user,
        browser=browser,
        system=system,
        address=address_of(request),
        expires=expiry_of(request.session),
        **identity(request.session),
    )


def insert(row: SignedInSession) -> None:
    """Unless somebody has done so."""
    SignedInSession.objects.bulk_create([row], ignore_conflicts=True)


def replace(row: SignedInSession) -> None:
    """Whether it is there or not: another request of the same session may write it just now."""
    columns = [field.name for field in row._meta.concrete_fields if not field.primary_key]
    features = connections[router.db_for_write(SignedInSession)].features
    by_id = ["id"] if features.supports_update_conflicts_with_target else None
    SignedInSession.objects.bulk_create(
        [row], update_conflicts=True, update_fields=columns, unique_fields=by_id
    )


def rewrite(session: SessionBase) -> None:
    """Write down what finds the session from now on, in the transaction of the caller."""
    known = SignedInSession(**identity(session))
    SignedInSession.objects.filter(pk__in=[registered_id(session)]).update(**known.identity)


def rejoin(request: HttpRequest, user: Any) -> None:
    """Go on with the session that another request of this very one has kept as it ended others.

    Both answers then hold the same key, where there is one: whichever reaches the browser, it is
    signed in, and nothing stays stored that nobody knows of. Raises SessionEndedError if somebody
    else has changed the hash: this session is signed out.
    """
    rows = user.signed_in_sessions.filter(auth_hash__in=hashes_of(user))
    row = rows.filter(pk__in=[registered_id(request.session)]).first()
    if row is None:
        raise SessionEndedError
    if key := row.session_key:
        request.session = running_engine.store()(key)
        request.session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    else:
        # The browser holds it: each answer has a cookie of its own.
        update_session_auth_hash(request, user)


def identity(session: SessionBase) -> dict[str, str]:
    """What finds the stored session, and tells whether it is still signed in.

    With its key in clear: only what is written is sealed.
    """
    return {
        "engine": running_engine.name(),
        "session_key": "" if running_engine.is_held_by_browser() else session.session_key or "",
        "auth_hash": hash_of(session),
    }


def hash_of(session: SessionBase | Data) -> str:
    """What a row holds of the user's hash that the session holds."""
    return digest(session.get(HASH_SESSION_KEY, ""))


def digest(auth_hash: str) -> str:
    """Of a user's session hash, which is as long and as random as a key: nobody guesses it."""
    return sha256(str(auth_hash).encode(errors="replace")).hexdigest()


def postpone(session: SessionBase) -> None:
    """Let a while go by before the session is written down by this process."""
    for name in cache_keys(session):
        written.set(name, True, AGAIN_AFTER)


def claim(session: SessionBase) -> bool:
    """Have the session as it is for this request to write down, if there is news.

    False if another request of this process has lately had it, and no expiry has moved.
    """
    every = seen_every(session)
    claimed = [written.add(name, True, every) for name in cache_keys(session)]
    return claimed[-1] or expiry_changed(session)


def cache_keys(session: SessionBase) -> list[str]:
    """Of what is written down, in ``written``."""
    digest = sha256(repr((registered_id(session), identity(session))).encode()).hexdigest()
    # Where its expiry has moved, that is news by itself.
    return [digest, f"{digest}-saved"] if is_being_saved(session) else [digest]


def expiry_changed(session: SessionBase) -> bool:
    """Whether it was given another expiry of its own since it was written down, by anybody."""
    return bool(session[ROW][1] != session.get(EXPIRY_ITEM))


def is_being_saved(session: SessionBase) -> bool:
    """Whether this request moves the session's expiry."""
    return session.modified or settings.SESSION_SAVE_EVERY_REQUEST


def seen_every(session: SessionBase) -> int:
    """Seconds; fewer for a session so short that its expiry would be overtaken."""
    return max(0, min(SEEN_EVERY, session.get_expiry_age() // 2))


def hashes_of(user: Any) -> list[str]:
    """What rows may hold of that user: by the secret key of now, and by those of before."""
    if not hasattr(user, "get_session_auth_hash"):
        # Of a model that is not made of AbstractBaseUser: Django compares none either.
        return [digest("")]
    return [
        digest(user.get_session_auth_hash()),
        *map(digest, user.get_session_auth_fallback_hash()),
    ]


def deregister_previous(request: HttpRequest, reason: str) -> None:
    """Forget what the request came with, if its session was emptied or is somebody else's now.

    ``reason`` is told, unless it had ended by its hash before.
    """

    def forget(rows: SignedInSessionQuerySet) -> None:
        for row in rows.select_related("user"):
            is_live = row.expires > timezone.now()
            if SignedInSession.objects.filter(pk=row.pk, **row.identity).forget() and is_live:
                announce_end(row, reason if row.auth_hash in hashes_of(row.user) else PASSWORD)

    came, was = session_at_start(request)
    row = registered_id(was)
    if row is None and (key := ended_key(request)):
        rows = SignedInSession.objects.filter(engine__in=running_engine.names())
        try_write(lambda: forget(rows.with_keys([key])))
    elif row not in {None, registered_id(request.session), getattr(request, SIGNED_OUT, None)}:
        deregister(str(row), was, expiry_of(came), forget=forget)


def ended_key(request: HttpRequest) -> str | None:
    """The key that a request came with, if it has ended that session and its data is gone.

    On Django's engines it always is, on ours where nobody had read it. Not asked for each session
    of a visitor, nor for one that has merely got another key.
    """
    session = request.session
    key = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    is_ended = session.is_empty() or SESSION_KEY in session or hasattr(request, REFUSED_DATA)
    is_other = key != session.session_key and not hasattr(request, SIGNED_OUT)
    return key if is_ended and is_other and not running_engine.is_held_by_browser() else None


def session_at_start(request: HttpRequest) -> tuple[SessionBase, Data]:
    """A session that has the expiry of what the request came with, and its data, to be read."""
    if running_engine.is_held_by_browser():
        came = running_engine.store()(request.COOKIES.get(settings.SESSION_COOKIE_NAME))
        return came, dict(came.items())
    was = getattr(request, REFUSED_DATA, None)
    return request.session, getattr(request.session, "loaded", {}) if was is None else was


def deregister(
    row: str,
    was: SessionBase | Data,
    expires: datetime,
    user: Any = None,
    forget: Callable[[SignedInSessionQuerySet], object] = SignedInSessionQuerySet.forget,
) -> None:
    """Forget a session that is not signed in any more; a copy of its cookie opens nothing.

    ``was`` is what the request came with, and ``user`` whose session that is, if it is known.
    What came may be an old copy, which a sign-out of all others or another password has ended:
    the session that was kept has the same row. So a row goes only if it has the hash that came,
    and is refused only if that hash is still the user's; if not, Django refuses it anyway.
    """
    came = hash_of(was)
    may_be_held = running_engine.browsers_may_hold()
    if may_be_held:
        # The one of this request may be from before its session was ended elsewhere.
        user = find_user(was.get(SESSION_KEY))
    hashes = hashes_of(user) if user else [came]
    if may_be_held and came in hashes:
        # Another copy of the cookie may have been given a later expiry.
        known = SignedInSession.objects.filter(pk=row).values_list("expires", flat=True).first()
        refuse(row, max(expires, known) if known else expires)
    ended = hashes if came in hashes else [came]
    try_write(lambda: forget(SignedInSession.objects.filter(pk=row, auth_hash__in=ended)))
