"""What crossed the wire, told to the pages of this site.

A script sees neither the Cookie header nor a Set-Cookie line. So that a page can show
them, the server repeats them in a header of its own: with DEBUG on, and to a request that
asks for them by a header, which another site's page cannot send here unallowed (CORS).
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.core.cache.backends.locmem import LocMemCache
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cookieproj.engines import running_engine
from cookieproj.engines.listing import ListingMixin
from cookieproj.engines.round_trips import RoundTrips, count_round_trips

from .constants import LOGIN_COOKIE, SECURE_LOGIN_COOKIE

HEADER = "Wire"

# What a page sends in it: the same for a request and for those that it is redirected to.
RUN = re.compile("[0-9a-f]{32}")

# A signed value in an address, as of a session in the path: data, moment, signature.
SIGNED = re.compile(r"(?<![\w-])[\w-]++:\w{6}:[\w-]{43}")

# What a header may come to: browsers and proxies refuse long ones. Beyond it values are cut.
MOST_CHARACTERS = 32_000
CUT = 100

# The exchanges of a run that has been redirected and is not over; a minute is plenty.
begun = LocMemCache("demo.wire", {"TIMEOUT": 60})

# Of an attribute, or of one with that value.
MEANING: dict[str, Any] = {
    "expires": gettext_lazy("the browser forgets it then; Max-Age, if given, wins"),
    "max-age": gettext_lazy("seconds until the browser forgets it"),
    "path": gettext_lazy("sent to addresses below this path"),
    "domain": gettext_lazy("sent to this host and all below it"),
    "secure": gettext_lazy("sent by https only, and to this machine itself"),
    "httponly": gettext_lazy("no script sees it"),
    "samesite=strict": gettext_lazy("sent with requests from this site's own pages only"),
    "samesite=lax": gettext_lazy(
        "from other sites' pages sent with links, not with forms, images or scripts"
    ),
    "samesite=none": gettext_lazy("sent whatever page causes the request; needs Secure"),
}

Exchange = dict[str, Any]


class WireMiddleware:
    """Stands before whatever reads or sets a cookie, and sees all of it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not settings.DEBUG:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        run = request.headers.get(HEADER, "")
        if not RUN.fullmatch(run):
            return self.get_response(request)
        with count_round_trips() as trips:
            response = self.get_response(request)
        exchanges = [*begun.get(run, []), exchange(request, response, trips)]
        if response.has_header("Location"):
            begun.set(run, exchanges)
        else:
            begun.delete(run)
        response.headers[HEADER] = header(exchanges)
        return response


def header(exchanges: list[Exchange]) -> str:
    """JSON in ASCII."""
    text = json.dumps(exchanges)
    return text if len(text) <= MOST_CHARACTERS else json.dumps(shortened(exchanges))


def shortened(told: Any) -> Any:
    """The same with every text cut."""
    match told:
        case dict():
            return {name: shortened(value) for name, value in told.items()}
        case list():
            return [shortened(value) for value in told]
        case str() if len(told) > CUT:
            return f"{told[:CUT]}…"
    return told


def exchange(request: HttpRequest, response: HttpResponse, trips: RoundTrips) -> Exchange:
    """A request and its response, as JSON can say them.

    ``trips`` is None on an engine that does not tell them.
    """
    protocol = request.META.get("SERVER_PROTOCOL", "HTTP/1.1")
    counted = issubclass(running_engine.store(), ListingMixin)
    return {
        "request": f"{request.method} {request.get_full_path()} {protocol}",
        "sent": [pair(text) for text in cookie_line(request).split(";") if text],
        "understood": [{"name": name, "value": value} for name, value in request.COOKIES.items()],
        "status": f"{response.status_code} {response.reason_phrase}",
        "location": response.headers.get("Location"),
        "set": [taken_apart(line) for line in lines(response)],
        "trips": trips.number if counted else None,
        "milliseconds": round(trips.seconds * 1000, 2),
        # Texts that are as good as a key.
        "keys": SIGNED.findall(f"{request.path} {response.headers.get('Location', '')}"),
    }


def cookie_line(request: HttpRequest) -> str:
    """The Cookie header as it was sent; WSGI hands on its bytes as Latin-1."""
    text: str = request.META.get("HTTP_COOKIE", "")
    return text.encode("latin-1", "replace").decode("utf-8", "replace")


def lines(response: HttpResponse) -> Iterator[str]:
    """What follows ``Set-Cookie:``, in the order in which Django sends them."""
    if by_hand := response.headers.get("Set-Cookie"):
        yield by_hand
    for cookie in response.cookies.values():
        yield cookie.OutputString()


def taken_apart(line: str) -> dict[str, Any]:
    """A Set-Cookie line by the rules of RFC 6265, section 5.2."""
    first, *rest = line.split(";")
    cookie = pair(first)
    attributes = [attribute.strip().partition("=")[::2] for attribute in rest]
    return cookie | {
        # What browsers count (RFC 6265bis, section 5.6).
        "bytes": len(cookie["name"].encode()) + len(cookie["value"].encode()),
        "attributes": [
            {"name": name, "value": value, "meaning": meaning(name.lower(), value.lower())}
            for name, value in attributes
        ],
        "notes": list(notes({name.lower() for name, _value in attributes})),
    }


def pair(text: str) -> dict[str, Any]:
    """What stands alone is a value without a name (RFC 6265bis, section 5.6)."""
    name, equals, value = text.strip().partition("=")
    return {"name": name, "value": value} if equals else {"name": "", "value": name}


def secret_names() -> set[str]:
    """Cookies whose value signs somebody in, or lets a form through."""
    own = {settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME}
    return own | {LOGIN_COOKIE, SECURE_LOGIN_COOKIE}


def meaning(name: str, value: str) -> str:
    """Of an attribute, in a few words; empty for one that no browser knows."""
    if name == "max-age" and (value == "0" or value.startswith("-")):
        return _("the browser forgets it now")
    return str(MEANING.get(f"{name}={value}") or MEANING.get(name, ""))


def notes(given: set[str]) -> Iterator[str]:
    """What it means that an attribute is not there."""
    if not given & {"max-age", "expires"}:
        yield _("No Max-Age and no Expires: it ends with the browser.")
    if "httponly" not in given:
        yield _("No HttpOnly: scripts read it.")
    if "domain" not in given:
        yield _("No Domain: sent to this very host alone.")
    if "path" not in given:
        yield _("No Path: sent below the folder of this address alone.")
    if "samesite" not in given:
        yield _("No SameSite: browsers decide; most take Lax.")
