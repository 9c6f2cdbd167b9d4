"""The running engine's stored sessions, a page at a time, without their keys.

A session key is a password: anyone who reads it on a page, in a URL or in a log is signed in. So
keys leave the server encrypted only, with the site's SECRET_KEY.
"""

import json
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY, get_user_model
from django.db import router
from django.utils.translation import gettext as _

from . import encryption, running_engine
from .constants import INSPECTOR_SEAL
from .encryption import DecryptionError
from .entries import Entry, ListedSession
from .exceptions import NotListableError
from .listing import ListingMixin
from .models import StoredSession
from .primary_keys import primary_key
from .signals import stored_session_deleted

PAGE_SIZE = 100

# The purpose of an encrypted text. A text for one purpose is not valid for the other.
KEY, POSITION = b"session key", b"position"


def encrypt(text: str, purpose: bytes) -> str:
    """Return the encrypted text, fit for a URL of the admin and always the same on one engine."""
    return encryption.encrypt(text, INSPECTOR_SEAL, purpose, running_engine.name().encode())


def decrypt(encrypted: str, purpose: bytes) -> str:
    """Return the decrypted text. Raises DecryptionError."""
    return encryption.decrypt(encrypted, INSPECTOR_SEAL, purpose, running_engine.name().encode())


def store() -> type[ListingMixin]:
    """Return the running engine. Raises NotListableError if it is not one of ours."""
    engine = running_engine.store()
    if issubclass(engine, ListingMixin):
        return engine
    raise NotListableError(
        _("%(engine)s does not list its sessions.") % {"engine": settings.SESSION_ENGINE}
    )


def page(start: str = "") -> tuple[list[StoredSession], str]:
    """Return a page of stored sessions, and the ``start`` of the next one, empty if there is none.

    Raises NotListableError, or DecryptionError for an invalid ``start``.
    """
    stored_page = store().page(decrypt(start, POSITION) if start else "", PAGE_SIZE)
    return with_users(stored_page.sessions), stored_page.next and encrypt(
        stored_page.next, POSITION
    )


def find(name: str) -> StoredSession | None:
    """Return the session with that encrypted key, None without one. Raises NotListableError."""
    try:
        session = store()(decrypt(name, KEY))
    except DecryptionError:
        return None
    location = next(iter(session.locate()), None)
    if location is None or session.session_key is None:
        return None
    entry = Entry(None, session.load, location.expires)
    listed = ListedSession(session.session_key, location.payload, entry)
    return with_users([listed])[0]


def with_users(sessions: Sequence[ListedSession]) -> list[StoredSession]:
    """Return the sessions with their users, who are read by one query."""
    # Converted as Django does: any value that can be a primary key is one.
    model = get_user_model()
    ids = [primary_key(model, session.data.get(SESSION_KEY)) for session in sessions]
    users = model._base_manager.using(router.db_for_write(model)).in_bulk(set(ids) - {None})
    stored_sessions = []
    for session, pk in zip(sessions, ids, strict=True):
        stored_session = StoredSession(name=encrypt(session.key, KEY))
        stored_session.listed = session
        stored_session.user = users.get(pk)
        stored_sessions.append(stored_session)
    return stored_sessions


def as_text(data: dict[Any, Any]) -> str:
    """Return the data as JSON, or else (with a tuple as a key, for instance) as its repr."""
    try:
        text = json.dumps(data, indent=2, ensure_ascii=False, default=python_repr)
    except (TypeError, ValueError, RecursionError):
        text = python_repr(data)
    # A page cannot contain lone surrogates, which JSON and repr can.
    return text.encode(errors="replace").decode()


def python_repr(value: object) -> str:
    """Return the value's repr, or Python's default one if the object's own fails."""
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - an object of the site's may raise anything
        return object.__repr__(value)


def end(session: StoredSession) -> None:
    """Delete the session from all places where it is stored."""
    store()().delete(session.listed.key)
    stored_session_deleted.send(sender=StoredSession, session_key=session.listed.key)
