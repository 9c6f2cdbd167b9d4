"""Signed texts in the format of Django's ``TimestampSigner``, with keys that are derived once.

``signing.dumps`` and ``signing.loads`` derive the key of their HMAC at each call, and an entry that
is decoded twice would be verified twice. What is here writes the same bytes and accepts the same
texts. ``subclass_hooks.signs_like_django`` says when it is used.

A key is kept under its salt and its secret, and the secrets are read from the settings at each
call: a changed SECRET_KEY counts at once.
"""

import json
import time
import zlib
from binascii import a2b_base64, b2a_base64
from functools import lru_cache
from hashlib import sha256
from secrets import compare_digest
from typing import Any

from django.core.signing import BadSignature, b62_decode, b62_encode
from django.utils.encoding import force_bytes

from .constants import EXPIRY_ITEM
from .encryption import secrets
from .merge import Data
from .validation import decode_valid

SEPARATOR = ":"

# The start of a text whose data is compressed.
COMPRESSED = "."

# From base64 to its form for URLs, and back.
TO_URL = bytes.maketrans(b"+/", b"-_")
FROM_URL = bytes.maketrans(b"-_", b"+/")

# What HMAC combines its key with (RFC 2104). A key of SHA-256 is padded to a block.
BLOCK = 64
INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))

# Django's JSON serializer makes such an encoder for each text.
ENCODER = json.JSONEncoder(separators=(",", ":"))


def dumps(data: Data) -> bytes:
    """Return what Django's JSON serializer returns."""
    return ENCODER.encode(data).encode("latin-1")


def loads(serialized: bytes) -> Any:
    return json.loads(serialized.decode("latin-1"))


def sign(serialized: bytes, salt: str, second: int | None = None) -> str:
    """Return what ``signing.dumps`` with ``compress`` makes of an object so serialized.

    ``second`` is that of signing, since 1970; by default the current one.
    """
    compressed = zlib.compress(serialized)
    is_shorter = len(compressed) < len(serialized) - 1
    text = to_base64(compressed if is_shorter else serialized)
    seconds = b62_encode(int(time.time()) if second is None else second)
    return sign_value(f"{COMPRESSED if is_shorter else ''}{text}{SEPARATOR}{seconds}", salt)


def sign_value(value: str, salt: str) -> str:
    """Return what Django's ``Signer`` with that salt makes of the value."""
    return f"{value}{SEPARATOR}{to_base64(hmac(value.encode(), salt, next(secrets())))}"


def verify(text: str, salt: str) -> tuple[str, str]:
    """Return the signed value, and the secret key that it is signed with.

    Raises BadSignature, or another error for what is no text.
    """
    value, _separator, signature = text.rpartition(SEPARATOR)
    message, found = value.encode(), signature.encode()
    for secret in secrets():
        # Its text is compared, as its last character has unused bits.
        if compare_digest(to_base64(hmac(message, salt, secret)).encode(), found):
            return value, secret
    raise BadSignature


def unpack(value: str) -> tuple[bytes, int]:
    """Return the serialized data of a verified value, and the second of signing.

    Raises an error of any kind for a value that ``sign`` would not sign.
    """
    text, _separator, digits = value.rpartition(SEPARATOR)
    second = b62_decode(digits)
    if text.startswith(COMPRESSED):
        return zlib.decompress(from_base64(text[1:])), second
    return from_base64(text), second


def to_base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).translate(TO_URL).rstrip(b"=").decode()


def from_base64(text: str) -> bytes:
    data = text.encode().translate(FROM_URL)
    return a2b_base64(data + b"=" * (-len(data) % 4))


def hmac(message: bytes, salt: str, secret: str | bytes) -> bytes:
    begun_inner, begun_outer = begun_hmac(salt, force_bytes(secret))
    inner, outer = begun_inner.copy(), begun_outer.copy()
    inner.update(message)
    outer.update(inner.digest())
    digest: bytes = outer.digest()
    return digest


@lru_cache(maxsize=64)
def begun_hmac(salt: str, secret: bytes) -> tuple[Any, Any]:
    """Return the two hashes of HMAC-SHA-256 after its key, which Django derives from both."""
    key = sha256(f"{salt}signer".encode() + secret).digest().ljust(BLOCK, b"\0")
    return sha256(key.translate(INNER_PAD)), sha256(key.translate(OUTER_PAD))


class SignedContent:
    """The data in a signed text, newly decoded at each call; {}, with a line in the log, if none.

    The first call verifies the text, the next ones do not verify it again. After it ``serialized``
    is the text that was signed; and ``keys`` are those of the data in their order, unless it was
    decoded to other data than it says: then they are empty.
    """

    __slots__ = ("_salt", "_text", "keys", "serialized")

    def __init__(self, text: str, salt: str) -> None:
        self._text, self._salt = text, salt
        self.keys: tuple[str, ...] = ()
        self.serialized = b""

    def __call__(self) -> Data:
        data = decode_valid(SignedContent._loads, self) or {}
        if len(data) != len(self.keys) or EXPIRY_ITEM in data:
            self.keys = ()
        return data

    def _loads(self) -> Any:
        if not self.serialized:
            value, _secret = verify(self._text, self._salt)
            self.serialized, _second = unpack(value)
        data = loads(self.serialized)
        self.keys = tuple(data)
        return data
