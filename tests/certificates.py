"""Certificates for 127.0.0.1, self-signed or of a certificate authority."""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey

SIGNS_CERTIFICATES = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=False,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


def make(folder: Path) -> Path:
    """Create a file with a key and a self-signed certificate."""
    key = new_key()
    path = folder / "certificate.pem"
    path.write_bytes(pem_of(key) + signed_certificate("localhost", key, "localhost", key))
    return path


@dataclass(frozen=True)
class Issued:
    """The files of a server or client: the authority's certificate, and its own with its key."""

    authority: Path
    certificate: Path
    key: Path


def issue(folder: Path, *names: str) -> list[Issued]:
    """Create an authority, and certificates of it for these names."""
    authority, authority_key = folder / "authority.pem", new_key()
    authority.write_bytes(
        signed_certificate(
            "authority", authority_key, "authority", authority_key, is_authority=True
        )
    )
    issued = []
    for name in names:
        key = new_key()
        files = Issued(authority, folder / f"{name}.pem", folder / f"{name}.key")
        files.certificate.write_bytes(signed_certificate(name, key, "authority", authority_key))
        files.key.write_bytes(pem_of(key))
        issued.append(files)
    return issued


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def pem_of(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def signed_certificate(
    name: str, key: Key, issuer: str, issuer_key: Key, *, is_authority: bool = False
) -> bytes:
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509_name(name))
        .issuer_name(x509_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), address]), critical=False
        )
    )
    # Python 3.13 refuses what leaves these out (RFC 5280, sections 4.2.1.1 to 4.2.1.3).
    own, issuers = x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier
    builder = builder.add_extension(own.from_public_key(key.public_key()), critical=False)
    if is_authority:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        builder = builder.add_extension(SIGNS_CERTIFICATES, critical=True)
    else:
        identifier = issuers.from_issuer_public_key(issuer_key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def x509_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
