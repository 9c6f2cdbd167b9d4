"""The bound cookie: signed by this site, for one binding, and valid for a few minutes."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import Morsel
from typing import Any

from django.conf import settings
from django.core.signing import BadSignature
from django.http import HttpResponse

from cookieproj.devices import conf
from cookieproj.devices.constants import BOUND_COOKIE, BOUND_COOKIE_SALT
from cookieproj.engines import running_engine
from cookieproj.engines.signatures import sign, verify_and_unpack

from .binding import Binding
from .proofs import PublicKey

# Seconds for which the server takes it after its browser has dropped it: a request may have been on
# its way, or wait behind others. Never longer than the cookie lives.
LEEWAY = 30


@dataclass(frozen=True)
class BoundCookie:
    """``moment`` is that of the challenge whose proof has set it, in milliseconds since 1970.

    ``purposes`` name the requests for which the proof was demanded.
    ``key`` is in it if only the browser has the session: another response may have replaced the
    session cookie that has it.
    """

    issued: int
    moment: int
    purposes: list[str]
    key: PublicKey | None

    @property
    def age(self) -> float:
        """Seconds since it was set."""
        return time.time() - self.issued


def seconds_of_validity() -> int:
    """Return for how long the server takes a bound cookie."""
    return conf.bound_age() + min(LEEWAY, conf.bound_age())


def cookie_name(name: str = BOUND_COOKIE) -> str:
    """Return the name with its prefix.

    With ``__Host-`` no other host can set such a cookie. Chromium 156 registers none with the
    prefix ``__Host-Http-``.
    """
    return f"{'__Host-' if settings.SESSION_COOKIE_PATH == '/' else '__Secure-'}{name}"


def set_cookie(
    response: HttpResponse, binding: Binding, moment: int, purposes: list[str]
) -> "Morsel[str]":
    """Set the cookie of a proof whose challenge is of that moment, and return it."""
    content: list[Any] = [binding.id, moment, purposes]
    if running_engine.is_held_by_browser():
        content += [binding.algorithm, binding.jwk]
    value = sign(json.dumps(content).encode(), BOUND_COOKIE_SALT)
    return set_on(response, cookie_name(), value, conf.bound_age())


def set_on(response: HttpResponse, name: str, value: str, max_age: int | None) -> "Morsel[str]":
    """Set a cookie beside the session's. A device is bound over https alone, so it is Secure."""
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        path=settings.SESSION_COOKIE_PATH,
        secure=True,
        httponly=True,
        samesite=settings.SESSION_COOKIE_SAMESITE,  # type: ignore[arg-type]
    )
    cookie: Any = response.cookies[name]
    return cookie  # type: ignore[no-any-return]


def delete_cookie(response: HttpResponse, name: str = BOUND_COOKIE) -> None:
    set_on(response, cookie_name(name), "", 0)


def read_cookie(cookies: Mapping[str, str], binding: Binding) -> BoundCookie | None:
    """Return the bound cookie; None unless it is of that binding, and has not expired."""
    try:
        serialized, issued, _secret = verify_and_unpack(
            cookies.get(cookie_name(), ""), BOUND_COOKIE_SALT
        )
    except (BadSignature, ValueError):
        return None
    match json.loads(serialized):
        case [str(binding_id), int(moment), list(purposes), *key]:
            cookie = BoundCookie(issued, moment, purposes, PublicKey(*key) if key else None)
        case _:
            # Of another version of this app.
            return None
    is_valid = abs(cookie.age) < seconds_of_validity()
    return cookie if is_valid and binding_id == binding.id else None
