"""Digests of session hashes, by which the registry sees whether a session is still its user's.

Django stores a user's session hash in each session at the sign-in. A session whose hash is no
longer the user's has ended.
"""

from hashlib import sha256
from typing import Any

from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase

from cookieproj.engines.merge import Data


def hash_of(session: SessionBase | Data) -> str:
    """Return the digest of the session hash in the session or its data, as a row stores it."""
    return digest(session.get(HASH_SESSION_KEY, ""))


def hashes_of(user: Any) -> list[str]:
    """Return the digests of the user's session hashes: of SECRET_KEY first, then of fallbacks."""
    if not hasattr(user, "get_session_auth_hash"):
        # The user model is not based on AbstractBaseUser, and Django compares no hash either.
        return [digest("")]
    return [
        digest(user.get_session_auth_hash()),
        *map(digest, user.get_session_auth_fallback_hash()),
    ]


def digest(auth_hash: str) -> str:
    """Return a digest of a session hash. It needs no secret: the hash is too long to be guessed."""
    return sha256(str(auth_hash).encode(errors="replace")).hexdigest()
