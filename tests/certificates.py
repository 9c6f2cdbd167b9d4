"""Certificates for this machine's own address: one for servers of https, or an authority's."""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey


def make(folder: Path) -> Path:
    """One file with a key and a certificate that it has signed itself."""
    key = new_key()
    path = folder / "certificate.pem"
    path.write_bytes(pem_of(key) + signed("localhost", key, "localhost", key))
    return path


@dataclass(frozen=True)
class Issued:
    """Files: the authority's certificate, and what it has signed for one server or client."""

    authority: Path
    certificate: Path
    key: Path


def issue(folder: Path, *names: str) -> list[Issued]:
    """By one authority, which is made for them."""
    authority, by = folder / "authority.pem", new_key()
    authority.write_bytes(signed("authority", by, "authority", by, is_authority=True))
    issued = []
    for name in names:
        key = new_key()
        files = Issued(authority, folder / f"{name}.pem", folder / f"{name}.key")
        files.certificate.write_bytes(signed(name, key, "authority", by))
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


def signed(name: str, key: Key, issuer: str, by: Key, *, is_authority: bool = False) -> bytes:
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), address]), critical=False
        )
    )
    if is_authority:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
    return builder.sign(by, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
