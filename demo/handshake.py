"""Remember the requests by which a browser binds its session, for the page about them.

Scripts do not see these requests: the browser sends them by itself. The server remembers the last
ones of each binding, with DEBUG alone, in the default cache, and shows them only to the session
with that binding.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from http import HTTPStatus

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from cookieproj.devices.bound import headers
from cookieproj.devices.bound.admission import BoundAdmission
from cookieproj.devices.bound.binding import Binding
from cookieproj.devices.bound.bound_cookie import cookie_name
from cookieproj.devices.bound.demands import demand_cookie_names
from cookieproj.devices.bound.proofs import MAX_PROOF_LENGTH
from cookieproj.devices.bound.registering import OFFERED_ATTRIBUTE, REGISTER, RENEW
from cookieproj.engines.admission import ADMISSION_ATTRIBUTE

from .decoding import UnreadableError, decode_base64, pretty
from .wire import cookie_header, set_cookie_lines

# On a request that this site sends to itself: no browser has sent it.
UNRECORDED_ATTRIBUTE = "is_unrecorded"

# The prefix of the cache's keys; how many exchanges of a binding are kept, and for how many seconds
# after the last one.
CACHE_PREFIX, MAX_EXCHANGES, KEPT_FOR = "demo.handshake:", 12, 60 * 60

# Characters that are shown of a cookie's value or a signature, and of a line.
SHOWN_CHARACTERS, MAX_LINE = 8, 1000
PAIR = re.compile(r"(?P<name>[^=;]+)=(?P<value>[^;]*)(?P<rest>.*)", re.DOTALL)


class Step(StrEnum):
    OFFER = "offer"
    REGISTRATION = "registration"
    CHALLENGE = "challenge"
    RENEWAL = "renewal"
    DEMAND = "demand"
    SKIPPED = "skipped"
    REFUSAL = "refusal"
    END = "end"


# Steps whose response has instructions for the browser, in JSON.
WITH_INSTRUCTIONS = {Step.REGISTRATION, Step.RENEWAL, Step.END}


@dataclass(frozen=True)
class Exchange:
    """A request and its response: the headers that matter, one a line, and what a proof says.

    ``second`` is since 1970. Values of cookies, and signatures, are shortened.
    """

    step: str
    second: float
    request: str
    response: str
    proof: str = ""

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.second, UTC)


class HandshakeMiddleware:
    """Remembers exchanges. It stands before the middleware that adds the headers to responses."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not settings.DEBUG:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        binding = None if hasattr(request, UNRECORDED_ATTRIBUTE) else binding_in(request)
        if binding and (step := step_of(request, response)):
            remember(binding.id, exchange(step, request, response))
        return response


def binding_in(request: HttpRequest) -> Binding | None:
    """Return the binding that the request has offered, or that of the session in its cookie."""
    offered: Binding | None = getattr(request, OFFERED_ATTRIBUTE, None)
    admission: BoundAdmission | None = getattr(request, ADMISSION_ATTRIBUTE, None)
    return offered or (admission.binding if admission else None)


def step_of(request: HttpRequest, response: HttpResponse) -> Step | None:
    """Return the step of the handshake that the exchange is, None if it is none."""
    if headers.REGISTRATION in response.headers:
        return Step.OFFER
    if request.path_info in {reverse(REGISTER), reverse(RENEW)}:
        if cookie_name() in response.cookies:
            is_first = request.path_info == reverse(REGISTER)
            return Step.REGISTRATION if is_first else Step.RENEWAL
        if response.status_code == HTTPStatus.OK:
            return Step.END
        return Step.CHALLENGE if headers.CHALLENGE in response.headers else Step.REFUSAL
    if response.status_code == HTTPStatus.TEMPORARY_REDIRECT and demands_proof(response):
        return Step.DEMAND
    return Step.SKIPPED if headers.SKIPPED in request.headers else None


def demands_proof(response: HttpResponse) -> bool:
    return any(name in response.cookies for name in demand_cookie_names())


def remember(binding_id: str, seen: Exchange) -> None:
    """Add the exchange. One that is added at the same moment by another request may be lost."""
    kept = [*cache.get(cache_key(binding_id), []), asdict(seen)]
    cache.set(cache_key(binding_id), kept[-MAX_EXCHANGES:], KEPT_FOR)


def remembered(binding: Binding) -> list[Exchange]:
    """Return the last exchanges of the binding, the newest last."""
    return [Exchange(**kept) for kept in cache.get(cache_key(binding.id), [])]


def cache_key(binding_id: str) -> str:
    return CACHE_PREFIX + sha256(binding_id.encode()).hexdigest()


def exchange(step: Step, request: HttpRequest, response: HttpResponse) -> Exchange:
    token = headers.text_in(request, headers.PROOF)[:MAX_PROOF_LENGTH]
    return Exchange(
        step,
        time.time(),
        joined(request_lines(request, token)),
        joined(response_lines(response, has_instructions=step in WITH_INSTRUCTIONS)),
        decoded(token) if token else "",
    )


def request_lines(request: HttpRequest, token: str) -> Iterator[str]:
    yield f"{request.method} {request.path}"
    for name in (headers.SESSION_ID, headers.SKIPPED):
        if name in request.headers:
            yield f"{name}: {request.headers[name]}"
    if token:
        yield f"{headers.PROOF}: {'.'.join(map(shortened, token.split('.')))}"
    pairs = [text.strip() for text in cookie_header(request).split(";")]
    if own := [with_short_value(pair) for pair in pairs if is_own(pair)]:
        yield f"Cookie: {'; '.join(own)}"


def response_lines(response: HttpResponse, *, has_instructions: bool) -> Iterator[str]:
    yield f"{response.status_code} {response.reason_phrase}"
    for name in ("Location", headers.REGISTRATION, headers.CHALLENGE):
        if name in response.headers:
            yield f"{name}: {response.headers[name]}"
    for line in set_cookie_lines(response):
        if is_own(line):
            yield f"Set-Cookie: {with_short_value(line)}"
    if has_instructions:
        yield f"\n{pretty(json.loads(response.content))}"


def is_own(line: str) -> bool:
    """Whether the line begins with a cookie that is about the session or its binding."""
    names = {settings.SESSION_COOKIE_NAME, cookie_name(), *demand_cookie_names()}
    return line.partition("=")[0] in names


def with_short_value(line: str) -> str:
    match = PAIR.fullmatch(line)
    return f"{match['name']}={shortened(match['value'])}{match['rest']}" if match else line


def joined(lines: Iterator[str]) -> str:
    return "\n".join(shortened(line, MAX_LINE) for line in lines)


def shortened(text: str, length: int = SHOWN_CHARACTERS) -> str:
    return f"{text[:length]}…" if len(text) > length else text


def decoded(token: str) -> str:
    """Return the header and the claims of a JSON Web Token; its signature shortened."""
    header, _dot, rest = token.partition(".")
    claims, _dot, signature = rest.partition(".")
    return f"{json_in(header)}\n{json_in(claims)}\n{shortened(signature)}"


def json_in(part: str) -> str:
    try:
        return pretty(json.loads(decode_base64(part)))
    # Deeply nested brackets raise RecursionError.
    except (UnreadableError, ValueError, RecursionError):
        return shortened(part)
