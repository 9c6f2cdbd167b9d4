"""Decode the stored bytes of a session step by step, as Django does at once."""

import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from django.core import signing
from django.utils.translation import gettext as _

from cookieproj.engines.constants import COOKIE_SALT, ENCRYPTED_COOKIE_PREFIX
from cookieproj.engines.encrypted_cookies import decrypted, split_text
from cookieproj.engines.encryption import DecryptionError

# django.core.signing writes base64 (after a dot if it is compressed), the time, and the signature.
SIGNED = re.compile(r"(?P<dot>\.?)(?P<payload>[\w-]*):(?P<time>\w+):(?P<signature>[\w-]+)")

# Of an encrypted cookie: with all of its bytes the page would show the cookie.
VISIBLE_CIPHERTEXT_BYTES = 24

# A few compressed kilobytes can decompress to gigabytes.
MAX_DECOMPRESSED_BYTES = 1_000_000


@dataclass(frozen=True)
class Step:
    """One step of decoding: what it does, why, its outcome, and whether it succeeded.

    A step that ``needs_secret`` cannot be done by somebody who only has the bytes.
    """

    title: str
    text: str
    outcome: str
    is_valid: bool = True
    needs_secret: bool = False


class UnreadableError(ValueError):
    """The bytes cannot be decoded. The message says why, for the visitor."""


def decoding_steps(payload: bytes, data: Any = None, salt: str = COOKIE_SALT) -> Iterator[Step]:
    """Yield the steps from the stored bytes to the data.

    ``data`` is the session as the engine decoded it, from another place if these bytes are not
    valid. The step of a pickle shows ``data``: no pickle is opened here. ``salt`` is the salt of
    the signature. If the bytes cannot be decoded, the last step is not valid.
    """
    try:
        if match := SIGNED.fullmatch(payload.decode("latin-1").strip()):
            yield from signed_steps(match, salt, has_copy=bool(data))
        elif payload.startswith(ENCRYPTED_COOKIE_PREFIX.encode()):
            yield from encrypted_steps(payload.decode("latin-1").strip())
        elif payload.startswith(b"\x80"):
            yield Step(
                _("Unpickle"),
                _(
                    "Pickle is Python's own format. Anybody who can write to the store could run "
                    "code in this process, so use pickle only in a store that nobody else can "
                    "write to."
                ),
                pretty(data),
            )
        else:
            yield from json_steps(payload)
    except UnreadableError as error:
        yield Step(_("It cannot be read"), str(error), "", is_valid=False)


def signed_steps(match: re.Match[str], salt: str, *, has_copy: bool) -> Iterator[Step]:
    yield Step(
        _("Split at the colons"),
        _(
            "The data, the time of signing, and the signature. The time is a number in base 62: "
            "its digits are 0 to 9 and all letters."
        ),
        "\n".join(
            [match["dot"] + match["payload"], signing_time(match["time"]), match["signature"]]
        ),
    )
    is_valid = is_signature_valid(match[0], salt)
    yield Step(
        _("Check the signature"),
        _(
            "HMAC-SHA256 over the data and the time, with a key derived from SECRET_KEY and the "
            "salt. Nobody without SECRET_KEY can sign other data. The age is checked later."
        ),
        _("The signature is valid.")
        if is_valid
        else _(
            "The signature is not valid. The site has read the copy in the cache instead, which is "
            "not signed."
        )
        if has_copy
        else _("The signature is not valid: to Django this is an empty session."),
        is_valid,
        needs_secret=True,
    )
    compressed = payload = decode_base64(match["payload"])
    yield Step(
        _("Decode base64"),
        _("This needs no secret: anybody who has the text can read it."),
        as_text(compressed),
    )
    if match["dot"]:
        payload = decompress(compressed)
        text = _("The leading dot says that the data is compressed, from {all} bytes to {n}.")
        yield Step(
            _("Decompress with zlib"),
            text.format(n=len(compressed), all=len(payload)),
            as_text(payload),
        )
    yield from json_steps(payload, is_session=is_valid)


def encrypted_steps(cookie: str) -> Iterator[Step]:
    ciphertext = decode_base64(cookie.removeprefix(ENCRYPTED_COOKIE_PREFIX))
    hidden = len(ciphertext) - VISIBLE_CIPHERTEXT_BYTES
    yield Step(
        _("Decode base64"),
        _(
            "This needs no secret, and shows nothing: a random salt, the ciphertext and a tag. "
            "Only the length of the session can be seen."
        ),
        f"{ciphertext[:VISIBLE_CIPHERTEXT_BYTES].hex(' ')} … (+{hidden})",
    )
    try:
        text, _secret = decrypted(cookie)
    except DecryptionError:
        yield Step(
            _("Decrypt with AES-256-GCM"),
            _("The key is derived from SECRET_KEY and the salt."),
            _("This site has not encrypted this: to the engine this is an empty session."),
            is_valid=False,
            needs_secret=True,
        )
        return
    written, content = split_text(text)
    yield Step(
        _("Decrypt with AES-256-GCM"),
        _(
            "The key is derived from SECRET_KEY and the salt, so only this site can decrypt the "
            "cookie. The tag proves that nobody has changed it. The first eight bytes are the time "
            "of writing."
        ),
        f"{written:%Y-%m-%d %H:%M:%S} UTC\n{as_text(content)}",
        needs_secret=True,
    )
    yield from (replace(step, needs_secret=True) for step in json_steps(content))


def json_steps(payload: bytes, *, is_session: bool = True) -> Iterator[Step]:
    try:
        text = pretty(json.loads(payload.decode()))
    # Deeply nested brackets raise RecursionError.
    except (ValueError, RecursionError) as error:
        raise UnreadableError(_("This is not JSON.")) from error
    why = (
        _("This is request.session.")
        if is_session
        else _("This is what the text says. It is not request.session, as the signature is wrong.")
    )
    yield Step(_("Parse JSON"), why, text)


def is_signature_valid(text: str, salt: str) -> bool:
    """Whether this site signed ``text`` with ``salt``, at any time."""
    try:
        signing.TimestampSigner(salt=salt).unsign(text)
    except signing.BadSignature:
        return False
    return True


def signing_time(base62: str) -> str:
    """Return a signature's timestamp in UTC, or raise UnreadableError."""
    try:
        return f"{datetime.fromtimestamp(signing.b62_decode(base62), UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError) as error:
        raise UnreadableError(_("The time of signing is not valid.")) from error


def decode_base64(text: str) -> bytes:
    try:
        return signing.b64_decode(text.encode())
    except ValueError as error:
        raise UnreadableError(_("This is not base64.")) from error


def decompress(compressed: bytes) -> bytes:
    """Return up to MAX_DECOMPRESSED_BYTES; raise UnreadableError for more, or for damaged data."""
    stream = zlib.decompressobj()
    try:
        payload = stream.decompress(compressed, MAX_DECOMPRESSED_BYTES)
    except zlib.error as error:
        raise UnreadableError(_("zlib cannot decompress this.")) from error
    if not stream.eof:
        raise UnreadableError(
            _("The data ends too early, or decompresses to more than a megabyte.")
        )
    return payload


def as_text(content: bytes) -> str:
    """Return printable text as it is, and other bytes as Python writes them."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = ""
    return text if text.isprintable() and text else repr(content)[2:-1]


def pretty(data: Any) -> str:
    """Return the data as JSON, with values that JSON lacks as Python writes them."""
    return json.dumps(data, indent=2, ensure_ascii=False, default=repr)
