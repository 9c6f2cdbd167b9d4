"""Encryption of texts with the site's SECRET_KEY.

Encryption is deterministic (AES-SIV, RFC 5297): one text always gives the same result, so encrypted
texts can be compared and searched.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.crypto import salted_hmac

if TYPE_CHECKING:
    # Imported here and where it is used only, as an engine by itself needs nothing but Django.
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV


class DecryptionError(ValueError):
    """The text was not encrypted by this site for that purpose, with one of its secret keys."""


def encrypt(text: str, purpose: str, *context: bytes) -> str:
    """Return the encrypted text in hexadecimal digits, for that purpose and context only."""
    return next(encryptions(text, purpose, *context))


def encryptions(text: str, purpose: str, *context: bytes) -> Iterator[str]:
    """Yield the text encrypted with each secret key, the current one first.

    A text that was encrypted with an older key is one of them.
    """
    for secret in secrets():
        yield cipher(secret, purpose).encrypt(text.encode(), list(context)).hex()


def decrypt(encrypted: str, purpose: str, *context: bytes) -> str:
    """Return the decrypted text. Raises DecryptionError."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415

    for secret in secrets():
        with suppress(InvalidTag, ValueError):
            text = cipher(secret, purpose).decrypt(bytes.fromhex(encrypted), list(context))
            return text.decode()
    raise DecryptionError


def secrets() -> Iterator[str]:
    """Yield the site's secret keys, the current one first.

    An empty one, as of an unset variable, is left out: everybody knows it. Django ignores it too.
    """
    yield settings.SECRET_KEY
    yield from filter(None, settings.SECRET_KEY_FALLBACKS)


def cipher(secret: str, purpose: str) -> "AESSIV":
    """Return the cipher for that purpose. AES-256 in SIV mode takes two keys of 32 bytes."""
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV  # noqa: PLC0415

    return AESSIV(salted_hmac(purpose, "", secret=secret, algorithm="sha512").digest())
