"""Texts that are kept or sent encrypted with the site's SECRET_KEY.

The same text is sealed the same way each time (AES-SIV, RFC 5297), so what is sealed can be
compared and looked for without being opened.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.crypto import salted_hmac

if TYPE_CHECKING:
    # Only here and where it is used: an engine by itself needs Django alone.
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV


class DecryptionError(ValueError):
    """Not a text that this site has sealed for that purpose, with one of its secret keys."""


def encrypt(text: str, purpose: str, *context: bytes) -> str:
    """In hexadecimal digits, which open for that purpose and context alone."""
    return next(encryptions(text, purpose, *context))


def encryptions(text: str, purpose: str, *context: bytes) -> Iterator[str]:
    """The same with each secret key, the one of now first: what was sealed before is among them."""
    for secret in secrets():
        yield cipher(secret, purpose).encrypt(text.encode(), list(context)).hex()


def decrypt(sealed: str, purpose: str, *context: bytes) -> str:
    """Raises DecryptionError."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415

    for secret in secrets():
        with suppress(InvalidTag, ValueError):
            opened = cipher(secret, purpose).decrypt(bytes.fromhex(sealed), list(context))
            return opened.decode()
    raise DecryptionError


def secrets() -> list[str]:
    return [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]


def cipher(secret: str, purpose: str) -> "AESSIV":
    """One of its own for each purpose: AES-256 takes two keys of 32 bytes here."""
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV  # noqa: PLC0415

    return AESSIV(salted_hmac(purpose, "", secret=secret, algorithm="sha512").digest())
