"""Demands for a proof at this moment. The browser keeps each, signed, until it has renewed.

A demand is for one request. Several tabs may have one each: the browser sends all of them with its
next proof, and gets a bound cookie that names all these requests.
"""

import json
import time
from contextlib import suppress
from dataclasses import astuple, dataclass
from hashlib import sha256

from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse

from cookieproj.devices import conf
from cookieproj.devices.constants import (
    BOUND_COOKIE_SALT,
    DEMAND_SALT,
    DEMANDED_COOKIE,
    PREVIOUS_COOKIE,
)
from cookieproj.devices.page_urls import own_url
from cookieproj.engines.signatures import sign, unpack, verify

from .binding import Binding
from .bound_cookie import cookie_name, delete_cookie, set_on

# The cookies with demands. Of two demands for one cookie the later stays, and the request of the
# other one is asked again.
DEMAND_COOKIES = [f"{DEMANDED_COOKIE}{number}" for number in range(8)]

# Hexadecimal digits of a purpose.
PURPOSE_LENGTH = 32


@dataclass(frozen=True)
class Demand:
    """``attempts`` is how often in a row the browser was asked."""

    binding_id: str
    purpose: str
    attempts: int


def purpose_of(request: HttpRequest) -> str:
    """Return a name of the request: of its method, path and query."""
    text = f"{request.method} {own_url(request)}"
    return sha256(text.encode()).hexdigest()[:PURPOSE_LENGTH]


def cookie_for(purpose: str) -> str:
    """Return the name of the cookie for that demand."""
    return DEMAND_COOKIES[int(purpose, 16) % len(DEMAND_COOKIES)]


def demand_cookie_names() -> list[str]:
    """Return the names of all cookies that a demand may set beside the bound one."""
    return [cookie_name(name) for name in (*DEMAND_COOKIES, PREVIOUS_COOKIE)]


def demands_in(request: HttpRequest) -> list[Demand]:
    found = (read_demand(request.COOKIES.get(cookie_name(name), "")) for name in DEMAND_COOKIES)
    return [demand for demand in found if demand]


def read_demand(text: str) -> Demand | None:
    try:
        value, _secret = verify(text, DEMAND_SALT)
    except (BadSignature, ValueError):
        return None
    serialized, _issued = unpack(value)
    return Demand(*json.loads(serialized))


def attempts_for(request: HttpRequest, purpose: str) -> int:
    """Return how often in a row the browser was asked for a proof for that purpose."""
    return max((d.attempts for d in demands_in(request) if d.purpose == purpose), default=0)


def demand_proof(request: HttpRequest, response: HttpResponse, demand: Demand) -> None:
    """Let the browser prove its key before its next request.

    If it has sent no bound cookie, a renewal may be on its way, and has a cookie that is to stay.
    """
    value = sign(json.dumps(astuple(demand)).encode(), DEMAND_SALT)
    set_on(response, cookie_name(cookie_for(demand.purpose)), value, conf.bound_age())
    if bound_cookie := request.COOKIES.get(cookie_name()):
        set_on(response, cookie_name(PREVIOUS_COOKIE), bound_cookie, conf.bound_age())
        delete_cookie(response)


def purposes_for(request: HttpRequest, binding: Binding) -> list[str]:
    """Return the purposes of the demands to the browser of that binding."""
    return [found.purpose for found in demands_in(request) if found.binding_id == binding.id]


def end_demands(request: HttpRequest, response: HttpResponse) -> None:
    for name in (*DEMAND_COOKIES, PREVIOUS_COOKIE):
        if cookie_name(name) in request.COOKIES:
            delete_cookie(response, name)


def give_back_cookie(request: HttpRequest, response: HttpResponse) -> None:
    """Set the bound cookie that a demand has deleted, for the rest of its time."""
    end_demands(request, response)
    value = request.COOKIES.get(cookie_name(PREVIOUS_COOKIE), "")
    with suppress(BadSignature, ValueError):
        signed, _secret = verify(value, BOUND_COOKIE_SALT)
        _content, issued = unpack(signed)
        if (rest := int(issued + conf.bound_age() - time.time())) > 0:
            set_on(response, cookie_name(), value, rest)
