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
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from secrets import compare_digest
from typing import Any

from django.core.signing import BadSignature, b62_decode, b62_encode
from django.utils.encoding import force_bytes

from .constants import EXPIRY_ITEM
from .encryption import current_secret, secrets
from .merge import Data
from .validation import decode_valid

SEPARATOR = ":"

# The start of a text whose data is compressed.
COMPRESSED = "."

# From base64 to its form for URLs, and back.
TO_URL = bytes.maketrans(b"+/", b"-_")
FROM_URL = bytes.maketrans(b"-_", b"+/")

# How many texts need not be verified again, each of at most so many characters, and of data of at
# most so many bytes: 4 MB together.
MOST_KNOWN = 500
LONGEST_KNOWN = 4096

# What HMAC combines its key with (RFC 2104). A key of SHA-256 is padded to a block.
BLOCK = 64
INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))

# Django's JSON serializer makes such an encoder for each text.
ENCODER = json.JSONEncoder(separators=(",", ":"))
# What its decoder calls, after it has looked for spaces around the text.
scan_json: Any = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def dumps(data: Data) -> bytes:
    """Return what Django's JSON serializer returns."""
    return ENCODER.encode(data).encode("latin-1")


def loads(serialized: bytes) -> Any:
    """Return what Django's JSON serializer returns, or raise its error."""
    text = serialized.decode("latin-1")
    try:
        content, end = scan_json(text, 0)
    except StopIteration:
        return json.loads(text)
    # Only a text that ``dumps`` has not made has anything around it.
    return content if end == len(text) else json.loads(text)


def sign(serialized: bytes, salt: str, second: int | None = None) -> str:
    """Return what ``signing.dumps`` with ``compress`` makes of an object so serialized.

    ``second`` is that of signing, since 1970; by default the current one.
    """
    compressed = zlib.compress(serialized)
    is_shorter = len(compressed) < len(serialized) - 1
    text = to_base64(compressed if is_shorter else serialized).decode()
    second = int(time.time()) if second is None else second
    value = f"{COMPRESSED if is_shorter else ''}{text}{SEPARATOR}{b62_encode(second)}"
    secret = current_secret()
    signed = sign_value(value, salt, secret)
    remember(signed, KnownText(salt, secret, serialized, second))
    return signed


def sign_value(value: str, salt: str, secret: str | None = None) -> str:
    """Return what Django's ``Signer`` with that salt makes of the value."""
    found = signature(value.encode(), salt, secret or current_secret())
    return f"{value}{SEPARATOR}{found.decode()}"


def verify(text: str, salt: str) -> tuple[str, str]:
    """Return the signed value, and the secret key that it is signed with.

    Raises BadSignature, or another error for what is no text.
    """
    value, _separator, found_text = text.rpartition(SEPARATOR)
    message, found = value.encode(), found_text.encode()
    for secret in secrets():
        # Its text is compared, as its last character has unused bits.
        if compare_digest(signature(message, salt, secret), found):
            return value, secret
    raise BadSignature


def verify_and_unpack(text: str, salt: str) -> tuple[bytes, int, str]:
    """Return the serialized data of a signed text, the second of signing, and its secret key.

    Raises BadSignature, or another error for what ``sign`` would not make.
    """
    known = _known.get(text)
    # A secret key that the site has given up proves nothing any more.
    if known is not None and known.salt == salt and known.secret in secrets():
        return known.serialized, known.second, known.secret
    value, secret = verify(text, salt)
    serialized, second = unpack(value)
    remember(text, KnownText(salt, secret, serialized, second))
    return serialized, second, secret


class KnownText:
    """What is known of a signed text: nothing of it can change. Its ``repr`` shows no secret."""

    __slots__ = ("salt", "second", "secret", "serialized")

    def __init__(self, salt: str, secret: str, serialized: bytes, second: int) -> None:
        self.salt, self.secret = salt, secret
        self.serialized, self.second = serialized, second


# The last short texts that this process has signed or verified. A browser sends a cookie with many
# requests, and a row is read more often than it is written. They are found by a hash of the whole
# text, so the time of a look-up says nothing about one that is nearly the same.
_known: dict[str, KnownText] = {}


def remember(text: str, known: KnownText) -> None:
    # A short text may be that of long data, as it is compressed.
    if len(text) > LONGEST_KNOWN or len(known.serialized) > LONGEST_KNOWN:
        return
    while len(_known) >= MOST_KNOWN:
        # Another thread may change it at the same moment.
        with suppress(KeyError, RuntimeError, StopIteration):
            del _known[next(iter(_known))]
    _known[text] = known


def unpack(value: str) -> tuple[bytes, int]:
    """Return the serialized data of a verified value, and the second of signing.

    Raises an error of any kind for a value that ``sign`` would not sign.
    """
    text, _separator, digits = value.rpartition(SEPARATOR)
    second = b62_decode(digits)
    if text.startswith(COMPRESSED):
        return zlib.decompress(from_base64(text[1:])), second
    return from_base64(text), second


def to_base64(data: bytes) -> bytes:
    return b2a_base64(data, newline=False).translate(TO_URL).rstrip(b"=")


def from_base64(text: str) -> bytes:
    data = text.encode().translate(FROM_URL)
    return a2b_base64(data + b"=" * (-len(data) % 4))


def signature(message: bytes, salt: str, secret: str | bytes) -> bytes:
    """Return what follows the last separator in a signed text."""
    begun_inner, begun_outer = begun_hmac(salt, secret)
    inner, outer = begun_inner.copy(), begun_outer.copy()
    inner.update(message)
    outer.update(inner.digest())
    return to_base64(outer.digest())


@lru_cache(maxsize=64)
def begun_hmac(salt: str, secret: str | bytes) -> tuple[Any, Any]:
    """Return the two hashes of HMAC-SHA-256 after its key, which Django derives from both."""
    key = sha256(f"{salt}signer".encode() + force_bytes(secret)).digest().ljust(BLOCK, b"\0")
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
            self.serialized, _second, _secret = verify_and_unpack(self._text, self._salt)
        data = loads(self.serialized)
        self.keys = tuple(data)
        return data
