"""Encryption of texts with the site's SECRET_KEY.

Encryption is deterministic (AES-SIV, RFC 5297): one text always gives the same result, so encrypted
texts can be compared and searched.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.utils.crypto import salted_hmac
from django.utils.encoding import force_bytes

from .quick_settings import setting

if TYPE_CHECKING:
    # Imported here and where it is used only, as an engine by itself needs nothing but Django.
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV


TYPES_OF_SECRETS = {str, bytes}


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
    """Yield the site's secret keys, the current one first, each as text or bytes.

    An empty one, as of an unset variable, is left out: everybody knows it. Django ignores it too.
    """
    yield current_secret()
    for secret in setting("SECRET_KEY_FALLBACKS"):
        if secret:
            yield plain_secret(secret)


def current_secret() -> str:
    """Return SECRET_KEY. Raises ImproperlyConfigured if it is empty."""
    secret: str = plain_secret(setting("SECRET_KEY"))
    return secret


def plain_secret(secret: Any) -> Any:
    """Return the key as it is now: a lazy one changes, and a bytearray can be changed."""
    return secret if type(secret) in TYPES_OF_SECRETS else force_bytes(secret)


def cipher(secret: str, purpose: str) -> "AESSIV":
    """Return the cipher for that purpose. AES-256 in SIV mode takes two keys of 32 bytes."""
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV  # noqa: PLC0415

    return AESSIV(salted_hmac(purpose, "", secret=secret, algorithm="sha512").digest())
