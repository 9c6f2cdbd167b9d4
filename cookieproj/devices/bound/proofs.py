"""A proof: a JSON Web Token (RFC 7519) that the browser signs with the key of the device."""

from dataclasses import dataclass
from typing import Any

from .headers import PROOF_TYPE

# Characters. The proof of an RSA key of 4,096 bits takes about 1,900.
MAX_PROOF_LENGTH = 4096

# Bits of an RSA key. NIST SP 800-57 asks for 2,048; a longer one takes longer to verify.
RSA_BITS = range(2048, 4097)


# The challenge says when, where and for whom a proof is made. What a browser claims besides is not
# in the draft, and its clock may be wrong.
OPTIONS: Any = {
    "require": ["jti"],
    **{f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub")},
}


class ProofError(Exception):
    """The proof is refused. Its text says why, for the log."""


class StaleChallengeError(ProofError):
    """The proof is of another challenge than the one that is expected now."""


@dataclass(frozen=True)
class PublicKey:
    """The device's public key. ``jwk`` has the members of RFC 7517 that define it, and no other."""

    algorithm: str
    jwk: dict[str, str]


@dataclass(frozen=True)
class Proof:
    challenge: str
    key: PublicKey


def verify(token: str, key: PublicKey | None = None) -> Proof:
    """Return the proof that ``key`` has signed; without it, the key that the proof itself names.

    Raises ProofError.
    """
    # Imported here, as a site that binds no sessions need not install it.
    import jwt  # noqa: PLC0415

    if len(token) > MAX_PROOF_LENGTH:
        raise ProofError("it is too long")
    try:
        header = jwt.get_unverified_header(token)
        if str(header.get("typ")).lower() != PROOF_TYPE:
            raise ProofError("it is no proof of a device's key")
        if key is None:
            key = public_key(header)
        elif header.get("alg") != key.algorithm:
            raise ProofError("its algorithm is not that of the session's key")
        claims = jwt.decode(
            token,
            jwt.PyJWK(key.jwk, key.algorithm),
            algorithms=[key.algorithm],
            options=OPTIONS,
        )
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
        # Its text may contain what was sent, line breaks too.
        raise ProofError(type(error).__name__) from error
    return Proof(str(claims["jti"]), key)


def public_key(header: dict[str, Any]) -> PublicKey:
    """Return the public key in the header of a proof. Raises ProofError, or an error of jwt."""
    algorithm, jwk = header.get("alg"), header.get("jwk")
    match algorithm, jwk:
        case "ES256", {"kty": "EC", "crv": "P-256", "x": str(x), "y": str(y)}:
            return PublicKey(algorithm, {"kty": "EC", "crv": "P-256", "x": x, "y": y})
        case "RS256", {"kty": "RSA", "n": str(n), "e": str(e)}:
            public = {"kty": "RSA", "n": n, "e": e}
            if bits_of(public) in RSA_BITS:
                return PublicKey(algorithm, public)
    raise ProofError("it has no key of an algorithm and size that is accepted")


def bits_of(jwk: dict[str, str]) -> int:
    from jwt import PyJWK  # noqa: PLC0415 - as above

    bits: int = PyJWK(jwk, "RS256").key.key_size
    return bits
