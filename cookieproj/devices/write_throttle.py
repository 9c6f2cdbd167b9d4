"""Limits how often a process writes the row of a session that has not changed."""

from hashlib import sha256

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.core.cache.backends.locmem import LocMemCache

from cookieproj.engines.renewal import renewal_lifetime
from cookieproj.engines.timeouts import timeouts

from .row_identity import expiry_changed, identity, registered_id

# Seconds between two updates of ``last_seen`` in a row.
LAST_SEEN_INTERVAL = 300

# Seconds until a failed write is tried again.
RETRY_AFTER = 10

# What this process has written lately, so it need not ask the database.
recent_writes = LocMemCache("cookieproj.devices", {"OPTIONS": {"MAX_ENTRIES": 10_000}})


def claim(session: SessionBase) -> bool:
    """Whether this request is to write the session's row; if so, others soon after are not.

    False if another request of this process has claimed the same session lately and its own expiry
    has not changed.
    """
    claimed = [recent_writes.add(key, True, age) for key, age in write_keys(session).items()]
    return claimed[-1] or expiry_changed(session)


def postpone(session: SessionBase) -> None:
    """Let this process write the session's row again only after RETRY_AFTER seconds."""
    for key in write_keys(session):
        recent_writes.set(key, True, RETRY_AFTER)


def write_keys(session: SessionBase) -> dict[str, int]:
    """Return the keys of the session's writes in ``recent_writes``, each with its seconds."""
    digest = sha256(repr((registered_id(session), identity(session))).encode()).hexdigest()
    keys = {digest: last_seen_interval(session)}
    # A save moves the expiry, which is worth a write of its own.
    return keys | {f"{digest}-saved": expiry_interval(session)} if is_being_saved(session) else keys


def is_being_saved(session: SessionBase) -> bool:
    """Whether this request saves the session, which moves its expiry."""
    is_renewed = getattr(session, "is_renewed", False)
    return session.modified or settings.SESSION_SAVE_EVERY_REQUEST or is_renewed


def last_seen_interval(session: SessionBase) -> int:
    """Return LAST_SEEN_INTERVAL in seconds, or less if the session would expire before that."""
    return max(0, min(LAST_SEEN_INTERVAL, session.get_expiry_age() // 2))


def expiry_interval(session: SessionBase) -> int:
    """Return the seconds by which the expiry in the row may lag behind that of the session.

    A renewal moves the expiry by at least a tenth of SESSION_IDLE_AGE, or of a shorter lifetime.
    Each is written to the row, or else the session would outlive it.
    """
    interval, idle = last_seen_interval(session), timeouts().idle
    return interval if idle is None else min(interval, renewal_lifetime(session, idle) // 20)
