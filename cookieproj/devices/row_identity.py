"""How a session and its row in the registry find each other.

The session's data contains the id of the row, so the row is found without a query and whatever
happens to the session key. The row has the columns that find the stored session.
"""

import re
from hashlib import sha256
from uuid import UUID

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.db import connections, router

from cookieproj.engines import running_engine
from cookieproj.engines.constants import EXPIRY_ITEM
from cookieproj.engines.merge import Data

from .auth_hashes import hash_of
from .constants import ROW_ID_LABEL, ROW_ITEM
from .models import SignedInSession

UUID_TEXT = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# A version of 8 or more without the variant of a UUID. MariaDB stores zeros instead.
NO_UUID_TO_MARIADB = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[89a-f][0-9a-f]{3}-[0-7]")
VARIANT_POSITION = 19


def registered_id(session: SessionBase | Data) -> str | None:
    """Return the id of the session's row, as the session or its data contains it.

    None if there is none, or a value that this registry cannot have stored.
    """
    match session.get(ROW_ITEM):
        case [str(row_id), _] if UUID_TEXT.fullmatch(row_id) and row_id == storable(row_id):
            return row_id
    return None


def id_of(session: SessionBase | Data, session_key: str | None) -> str | None:
    """Return the id of the session's row, or the id that ``register_existing`` would give it.

    None if the session has no row and is not signed in.
    """
    if row_id := registered_id(session):
        return row_id
    return id_from_key(session_key or "") if SESSION_KEY in session else None


def id_from_key(session_key: str) -> str:
    """Return the id that ``register_existing`` gives the row of a session with that key.

    The key cannot be computed from it, and it survives a change of SECRET_KEY.
    """
    digest = sha256(f"{ROW_ID_LABEL}{session_key}".encode()).digest()
    return storable(str(UUID(bytes=digest[:16])))


def storable(row_id: str) -> str:
    """Return the id as the registry's database can store it: unchanged, except by MariaDB.

    Another database must keep the ids that it has stored.
    """
    vendor = connections[router.db_for_write(SignedInSession)].vendor
    if vendor != "mysql" or not NO_UUID_TO_MARIADB.match(row_id):
        return row_id
    variant = int(row_id[VARIANT_POSITION], base=16) | 8
    return f"{row_id[:VARIANT_POSITION]}{variant:x}{row_id[VARIANT_POSITION + 1 :]}"


def mark(session: SessionBase, row_id: str) -> None:
    """Store in the session the id of its row, and the session's own expiry as the row has it."""
    session[ROW_ITEM] = [row_id, session.get(EXPIRY_ITEM)]


def expiry_changed(session: SessionBase) -> bool:
    """Whether a ``set_expiry`` has changed the session's own expiry since ``mark``."""
    return bool(session[ROW_ITEM][1] != session.get(EXPIRY_ITEM))


def identity(session: SessionBase) -> dict[str, str]:
    """Return the arguments of a row that find the stored session and its session hash.

    The session key is in clear; the row encrypts it.
    """
    return {
        "engine": running_engine.name(),
        "session_key": "" if running_engine.is_held_by_browser() else session.session_key or "",
        "auth_hash": hash_of(session),
    }
