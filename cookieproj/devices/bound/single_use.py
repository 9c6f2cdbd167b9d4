"""Uses challenges and proofs up: each counts once, however many requests come at once.

A session on a server says itself which were used. For a session in a cookie the default cache does,
and keeps its key beside them, and that a binding was offered.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from cookieproj.engines import running_engine
from cookieproj.engines.exceptions import TRY_AGAIN, StoreUnavailableError

from . import challenges
from .binding import Binding, change_binding
from .bound_cookie import BoundCookie
from .proofs import Proof, PublicKey, StaleChallengeError

# The prefix of the cache's keys, and the names of a registered key and of an offer.
USED_KEY = "cookieproj.devices.bound:"
KEY_NAME, OFFER_NAME = "registration", "offer"

# Seconds. By then the challenge is too old.
KEPT_FOR = 2 * challenges.CHALLENGE_AGE


def use_challenge(request: HttpRequest, binding: Binding, proof: Proof) -> int:
    """Use up the proof's challenge, and return its moment.

    Raises StaleChallengeError if it, or a later one, was used before; SessionEndedError and
    StoreError.
    """
    moment = challenges.moment_of(proof.challenge, binding.id, request.get_host())

    def use(stored: Binding) -> Binding:
        if stored.used >= moment:
            raise StaleChallengeError("its challenge has been used")
        return replace(stored.with_confirmation(), used=moment)

    use_once(request, binding, use, f"challenge {moment}")
    return moment


def spend_proof(request: HttpRequest, binding: Binding, cookie: BoundCookie, purpose: str) -> None:
    """Use up the proof that has set the cookie, for that purpose. Raises as ``use_challenge``."""

    def spend(stored: Binding) -> Binding:
        spent_for = stored.spent_for.split() if stored.spent == cookie.moment else []
        if stored.spent > cookie.moment or purpose in spent_for:
            raise StaleChallengeError("its proof has been used")
        return replace(stored, spent=cookie.moment, spent_for=" ".join([*spent_for, purpose]))

    use_once(request, binding, spend, f"proof {cookie.moment} {purpose}")


def use_once(
    request: HttpRequest, binding: Binding, use: Callable[[Binding], Binding], name: str
) -> None:
    """Store what ``use`` makes of the binding; the name if only the browser has the session."""
    if change_binding(request, binding, use):
        return
    with raising_store_errors():
        is_first = cache.add(cache_key(binding.id, name), True, KEPT_FOR)
    if not is_first:
        raise StaleChallengeError("it has been used")


def first_key(binding: Binding, key: PublicKey) -> PublicKey:
    """Return the first key that was registered for the binding.

    It is for sessions that only their browsers have: a copy of the cookie has no key yet.
    """
    with raising_store_errors():
        first: Any = cache.get_or_set(
            cache_key(binding.id, KEY_NAME), [key.algorithm, key.jwk], KEPT_FOR
        )
    return PublicKey(*first)


def registered_key(binding: Binding) -> PublicKey | None:
    """Return the binding's key, also if the session cookie has lost it.

    If only the browser has the session, a response to a request from before the registration may
    replace the cookie with the key. The key is found for two hours.
    """
    if binding.key or not running_engine.is_held_by_browser():
        return binding.key
    with raising_store_errors():
        first = cache.get(cache_key(binding.id, KEY_NAME))
    return PublicKey(*first) if first else None


def is_first_offer(row_id: str, seconds: int) -> bool:
    """Whether it is the first for the session with that row in so many seconds, of any process."""
    with raising_store_errors():
        return cache.add(cache_key(row_id, OFFER_NAME), True, seconds)


@contextmanager
def raising_store_errors() -> Iterator[None]:
    """Raise StoreUnavailableError if the cache fails: the browser tries again."""
    try:
        yield
    except Exception as error:  # each cache has errors of its own
        raise StoreUnavailableError(
            _("the default cache"), _("It keeps the challenges that were used."), TRY_AGAIN
        ) from error


def cache_key(whose: str, name: str) -> str:
    """Return the key for that name of the binding, or of the row, with that id."""
    return USED_KEY + sha256(f"{whose} {name}".encode()).hexdigest()
