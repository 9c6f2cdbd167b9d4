"""A Chromium that binds sessions to its device: software keys, over https without an error."""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_pem_x509_certificate

from .chromium import WITH_WINDOWS, launching

# Bindings, without a limit of how often, and with keys in software.
FEATURES = [
    "DeviceBoundSessions:RefreshQuota/false",
    "EnableBoundSessionCredentialsSoftwareKeysForManualTesting",
]


def launching_with_keys(certificate: Path) -> dict[str, Any]:
    """Return the arguments for Playwright's ``launch``. The browser trusts the certificate."""
    options = launching(WITH_WINDOWS)
    arguments = [
        f"--ignore-certificate-errors-spki-list={spki_digest(certificate)}",
        f"--enable-features={','.join(FEATURES)}",
    ]
    return options | {"args": [*options["args"], *arguments]}


def spki_digest(certificate: Path) -> str:
    """Return the digest of the public key of the first certificate in that file."""
    _key, begin, rest = certificate.read_bytes().partition(b"-----BEGIN CERTIFICATE-----")
    key = load_pem_x509_certificate(begin + rest).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b64encode(sha256(spki).digest()).decode()
