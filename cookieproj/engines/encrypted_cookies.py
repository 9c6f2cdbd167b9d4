"""Sessions in an encrypted cookie: the browser keeps its session, and cannot read it.

A cookie is ``e1.`` followed, in base64url, by a random salt, and the ciphertext and tag of
AES-256-GCM. Its key and nonce are derived (HKDF-SHA-256, RFC 5869) from SECRET_KEY and the salt, so
no two cookies share them. Random nonces under a single key would be safe for about four billion
cookies only (NIST SP 800-38D, 8.3). The cookie's name and purpose are authenticated with the data,
so no other encrypted value of this site passes for a session, and no session for another cookie.

Nothing is compressed. Otherwise the length would tell how much of a session repeats a text that a
visitor has put into it, such as a search term (CRIME, BREACH). The length itself is not hidden.
"""

import re
import struct
from datetime import UTC, datetime
from functools import lru_cache
from os import urandom
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from django.conf import settings
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode

from .constants import ENCRYPTED_COOKIE_LABEL, ENCRYPTED_COOKIE_PREFIX
from .cookie_sessions import CookieSession, OpenedCookie
from .encryption import DecryptionError, secrets
from .merge import Data

SALT_BYTES, KEY_BYTES, NONCE_BYTES = 16, 32, 12

# Before the data: the time of writing, in seconds since 1970.
WRITTEN = struct.Struct(">q")

# Salt, time and tag alone take 40 bytes, which are 54 characters.
ENCRYPTED = re.compile(rf"{re.escape(ENCRYPTED_COOKIE_PREFIX)}[\w-]{{54,}}", re.ASCII)


class SessionStore(CookieSession):
    """An encrypted sibling of ``signed_cookies``, with the same promises."""

    @classmethod
    def is_cookie(cls, session_key: str | None) -> bool:
        return bool(ENCRYPTED.fullmatch(session_key or ""))

    def make_cookie(self, data: Data, written: datetime) -> str:
        return encrypted(self.serializer().dumps(data), written, settings.SECRET_KEY)

    def open_cookie(self, cookie: str) -> OpenedCookie:
        """Raises DecryptionError, or what the serializer raises."""
        text, secret = decrypted(cookie)
        written, content = split_text(text)
        data: Any = self.serializer().loads(content)
        return OpenedCookie(data, written, secret)


def encrypted(content: bytes, written: datetime, secret: str) -> str:
    """Return the cookie of serialized data, as a site with that secret key makes it."""
    text = WRITTEN.pack(int(written.timestamp())) + content
    salt = urandom(SALT_BYTES)
    key, nonce = derived(secret, salt)
    sealed = salt + AESGCM(key).encrypt(nonce, text, associated_data())
    return ENCRYPTED_COOKIE_PREFIX + urlsafe_base64_encode(sealed)


def decrypted(cookie: str) -> tuple[bytes, str]:
    """Return the text in the cookie, and the secret key that decrypts it.

    Raises DecryptionError unless one of the site's secret keys encrypted it as a session cookie.
    """
    if not ENCRYPTED.fullmatch(cookie):
        raise DecryptionError
    text = cookie.removeprefix(ENCRYPTED_COOKIE_PREFIX)
    try:
        sealed = urlsafe_base64_decode(text)
    except ValueError as error:
        raise DecryptionError from error
    if urlsafe_base64_encode(sealed) != text:
        # The last character may have unused bits, with which one cookie would have several texts.
        raise DecryptionError
    salt, ciphertext = sealed[:SALT_BYTES], sealed[SALT_BYTES:]
    for secret in secrets():
        key, nonce = derived(secret, salt)
        try:
            return AESGCM(key).decrypt(nonce, ciphertext, associated_data()), secret
        except InvalidTag:
            continue
    raise DecryptionError


def split_text(text: bytes) -> tuple[datetime, bytes]:
    """Return the time of writing and the serialized data of a decrypted cookie."""
    [seconds] = WRITTEN.unpack_from(text)
    return datetime.fromtimestamp(seconds, UTC), text[WRITTEN.size :]


def associated_data() -> bytes:
    return f"{ENCRYPTED_COOKIE_LABEL} {settings.SESSION_COOKIE_NAME}".encode()


def derived(secret: str, salt: bytes) -> tuple[bytes, bytes]:
    """Return the key and the nonce of the cookie with that salt."""
    expand = HKDFExpand(algorithm=SHA256(), length=KEY_BYTES + NONCE_BYTES, info=salt)
    both = expand.derive(master_key(secret))
    return both[:KEY_BYTES], both[KEY_BYTES:]


@lru_cache(maxsize=16)
def master_key(secret: str | bytes) -> bytes:
    text = secret if isinstance(secret, bytes) else secret.encode()
    label = ENCRYPTED_COOKIE_LABEL.encode()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=label).derive(text)
