"""The stored bytes of a session, taken apart step by step, as Django does in one go."""

import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.core import signing
from django.utils.translation import gettext as _

from cookieproj.engines.constants import COOKIE_SALT

# django.core.signing: base64, after a dot if it was compressed; the time; the signature.
SIGNED = re.compile(r"(?P<dot>\.?)(?P<payload>[\w-]*):(?P<time>\w+):(?P<signature>[\w-]+)")

# A compressed text of a few kilobytes can unpack to gigabytes.
MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class Step:
    """What is done to the bytes, why, and what comes out of it."""

    title: str
    text: str
    outcome: str
    holds: bool = True


class UnreadableError(ValueError):
    """The text of it says what cannot be read."""


def steps(payload: bytes, data: Any = None, salt: str = COOKIE_SALT) -> Iterator[Step]:
    """From the stored bytes to the data; ``data`` is what the engine makes of what it alone reads.

    ``salt`` is what the place signs with. The last step is one that does not hold where the
    bytes cannot be read.
    """
    try:
        if found := SIGNED.fullmatch(payload.decode("latin-1").strip()):
            yield from signed_steps(found, salt)
        elif payload.startswith(b"\x80"):
            yield Step(
                _("Unpickle"),
                _(
                    "Python's own format. Whoever can write to the store could run code in this "
                    "process, so only a store that nobody else can write to should hold it."
                ),
                pretty(data),
            )
        else:
            yield from json_steps(payload)
    except UnreadableError as error:
        yield Step(_("It cannot be read"), str(error), "", holds=False)


def signed_steps(found: re.Match[str], salt: str) -> Iterator[Step]:
    yield Step(
        _("Split at the colons"),
        _("The data, the moment of signing in base 62, and the signature."),
        "\n".join([found["dot"] + found["payload"], moment(found["time"]), found["signature"]]),
    )
    holds = signature_holds(found[0], salt)
    yield Step(
        _("Check the signature"),
        _(
            "HMAC-SHA256 over data and moment, with a key made of SECRET_KEY and the salt. Nobody "
            "without SECRET_KEY can make one for other data. Whether it is too old comes after."
        ),
        _("It holds.") if holds else _("It does not hold: Django takes this for no session."),
        holds,
    )
    packed = unpacked = unbase64(found["payload"])
    yield Step(
        _("Decode base64"),
        _("No secret is needed for this: whoever has the text can read it."),
        shown(packed),
    )
    if found["dot"]:
        unpacked = unzipped(packed)
        text = _("The dot at the beginning says that the data was compressed: {n} bytes of {all}.")
        yield Step(
            _("Decompress with zlib"),
            text.format(n=len(packed), all=len(unpacked)),
            shown(unpacked),
        )
    yield from json_steps(unpacked)


def json_steps(payload: bytes) -> Iterator[Step]:
    try:
        text = pretty(json.loads(payload.decode()))
    # Of brackets within brackets within brackets.
    except (ValueError, RecursionError) as error:
        raise UnreadableError(_("This is no JSON.")) from error
    yield Step(_("Parse JSON"), _("This is request.session."), text)


def signature_holds(text: str, salt: str) -> bool:
    """Whether this site signed it as a session, however long ago."""
    try:
        signing.TimestampSigner(salt=salt).unsign(text)
    except signing.BadSignature:
        return False
    return True


def moment(base62: str) -> str:
    try:
        return f"{datetime.fromtimestamp(signing.b62_decode(base62), UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError) as error:
        raise UnreadableError(_("The moment of signing is none.")) from error


def unbase64(text: str) -> bytes:
    try:
        return signing.b64_decode(text.encode())
    except ValueError as error:
        raise UnreadableError(_("This is no base64.")) from error


def unzipped(packed: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        unpacked = stream.decompress(packed, MOST_BYTES)
    except zlib.error as error:
        raise UnreadableError(_("zlib cannot decompress this.")) from error
    if not stream.eof:
        raise UnreadableError(_("This ends too early, or unpacks to more than a megabyte."))
    return unpacked


def shown(content: bytes) -> str:
    """Text where it is text, else as Python writes bytes."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = ""
    return text if text.isprintable() and text else repr(content)[2:-1]


def pretty(data: Any) -> str:
    """A session as JSON; what JSON does not know as Python shows it."""
    return json.dumps(data, indent=2, ensure_ascii=False, default=repr)
