"""Challenges, which a browser signs to prove that it has the key at this moment.

A challenge is signed by this site, so none is stored until one is used. It names the binding, the
host and the moment. ``Binding`` keeps the moment of the last one that was used: that one and all
earlier ones are refused.
"""

import time

from django.core.signing import BadSignature

from cookieproj.devices.constants import CHALLENGE_SALT
from cookieproj.engines.signatures import sign_value, verify

from .proofs import StaleChallengeError

# Seconds. A browser that answers a later one gets a new one.
CHALLENGE_AGE = 60 * 60


def now() -> int:
    """Return the moment, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def make(binding_id: str, host: str, after: int) -> str:
    """Return a challenge that is later than the one of the moment ``after``.

    Servers whose clocks differ would else make challenges that are older than the last one.
    """
    moment = max(now(), after + 1)
    return sign_value(f"{moment}.{binding_id}.{host}", CHALLENGE_SALT)


def moment_of(challenge: str, binding_id: str, host: str) -> int:
    """Return the moment at which it was made, in milliseconds since 1970.

    Raises StaleChallengeError unless it was made for that binding and host, and not long ago.
    """
    try:
        value, _secret = verify(challenge, CHALLENGE_SALT)
    except (BadSignature, ValueError) as error:
        raise StaleChallengeError("its challenge is not one of this site") from error
    text, _separator, made_for = value.partition(".")
    if made_for != f"{binding_id}.{host}":
        raise StaleChallengeError("its challenge is for another session or host")
    moment = int(text)
    if abs(now() - moment) > CHALLENGE_AGE * 1000:
        raise StaleChallengeError("its challenge is too old")
    return moment
