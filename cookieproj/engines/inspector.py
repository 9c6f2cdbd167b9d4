"""What the running engine's store holds, a page at a time, and without its keys.

A session key is a password: whoever reads one in a page, an address or a log is signed
in. So what leaves the server in its place is encrypted with the site's SECRET_KEY.
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

PAGE = 100

# What a sealed text is for: one does not pass for the other.
KEY, POSITION = b"session key", b"position"


def encrypt(text: str, purpose: bytes) -> str:
    """Encrypted, fit for an address of the admin, and the same each time on the same engine."""
    return encryption.encrypt(text, INSPECTOR_SEAL, purpose, running_engine.name().encode())


def decrypt(sealed: str, purpose: bytes) -> str:
    """Raises DecryptionError."""
    return encryption.decrypt(sealed, INSPECTOR_SEAL, purpose, running_engine.name().encode())


def store() -> type[ListingMixin]:
    """The running engine's. Raises NotListableError if it is not one of ours."""
    found = running_engine.store()
    if issubclass(found, ListingMixin):
        return found
    raise NotListableError(
        _("%(engine)s does not list its sessions.") % {"engine": settings.SESSION_ENGINE}
    )


def page(start: str = "") -> tuple[list[StoredSession], str]:
    """A page of stored sessions, and what to call with for the one after it, empty for none.

    Raises NotListableError, or DecryptionError for a start that is none.
    """
    found = store().page(decrypt(start, POSITION) if start else "", PAGE)
    return with_users(found.sessions), found.next and encrypt(found.next, POSITION)


def find(name: str) -> StoredSession | None:
    """The session that goes by that name, if it is still stored. Raises NotListableError."""
    try:
        session = store()(decrypt(name, KEY))
    except DecryptionError:
        return None
    location = next(iter(session.locate()), None)
    if location is None or session.session_key is None:
        return None
    stored = Entry(None, session.load, location.expires)
    listed = ListedSession(session.session_key, location.payload, stored)
    return with_users([listed])[0]


def with_users(sessions: Sequence[ListedSession]) -> list[StoredSession]:
    """With their users, who are read by one query."""
    # As Django finds them: by whatever a primary key can be made of.
    model = get_user_model()
    ids = [primary_key(model, session.data.get(SESSION_KEY)) for session in sessions]
    users = model._base_manager.using(router.db_for_write(model)).in_bulk(set(ids) - {None})
    found = []
    for session, pk in zip(sessions, ids, strict=True):
        stored = StoredSession(name=encrypt(session.key, KEY))
        stored.listed = session
        stored.user = users.get(pk)
        found.append(stored)
    return found


def as_text(data: dict[Any, Any]) -> str:
    """As JSON; what that cannot hold, a tuple as a key say, as Python shows it."""
    try:
        text = json.dumps(data, indent=2, ensure_ascii=False, default=python_repr)
    except (TypeError, ValueError, RecursionError):
        text = python_repr(data)
    # Half of a character, which both can hold, is none that a page can.
    return text.encode(errors="replace").decode()


def python_repr(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - an object of the site's may raise anything
        return object.__repr__(value)


def end(session: StoredSession) -> None:
    """Delete it from the store, wherever that keeps it."""
    store()().delete(session.listed.key)
    stored_session_deleted.send(sender=StoredSession, session_key=session.listed.key)
