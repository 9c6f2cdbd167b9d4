"""Report what crossed the wire to the pages of this site.

A script sees neither the Cookie header nor a Set-Cookie line. The server repeats them in a header
of its own, so that a page can show them. It does so only with DEBUG on, and only if the request
has the header ``Wire``, which a page of another site cannot send without permission (CORS).
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

from cookieproj.devices.bound import bound_cookie
from cookieproj.devices.bound.demands import demand_cookie_names
from cookieproj.devices.constants import PREVIOUS_COOKIE, VISITOR_COOKIE
from cookieproj.engines import running_engine
from cookieproj.engines.cookie_checks import ADDRESS
from cookieproj.engines.listing import ListingMixin
from cookieproj.engines.round_trips import RoundTrips, count_round_trips

from .constants import LOGIN_COOKIE, SECURE_LOGIN_COOKIE
from .cookie_limits import pair_bytes
from .set_cookie import SetCookie, parse_pair

HEADER = "Wire"

# The header's value that asks only for the cookies which the browser sends to an address.
JAR = "jar"

# The id of a run, which a page sends in the header. Redirected requests send the same id.
RUN_ID = re.compile("[0-9a-f]{32}")

# A signed value in an address, such as a session key in the path: data, time, signature.
SIGNED = re.compile(r"(?<![\w-])[\w-]++:\w{6}:[\w-]{43}")

# Browsers and proxies refuse long headers. In a longer one each text is cut.
MAX_HEADER_CHARACTERS = 32_000
MAX_TEXT_CHARACTERS = 100

# A page lists no more Set-Cookie lines than these of a response. It judges the others too.
MAX_SET_COOKIE_LINES = 20

# The exchanges of runs that have been redirected. A run is over within a minute.
redirected_runs = LocMemCache("demo.wire", {"TIMEOUT": 60})

# The meaning of an attribute, or of an attribute with a certain value.
MEANING: dict[str, Any] = {
    "expires": gettext_lazy("the browser deletes the cookie at this time; Max-Age, if set, wins"),
    "max-age": gettext_lazy("seconds until the browser deletes the cookie"),
    "path": gettext_lazy("sent to this path and the addresses below it"),
    "domain": gettext_lazy("sent to this domain and its subdomains"),
    # Safari makes no exception (WebKit bug 281149).
    "secure": gettext_lazy(
        "sent over https only; Chrome, Edge and Firefox also send it over http to this machine "
        "itself"
    ),
    "httponly": gettext_lazy("hidden from scripts"),
    # RFC 6265bis: a typed or bookmarked address is a same-site request.
    "samesite=strict": gettext_lazy(
        "sent with requests from this site's own pages, and if its address is typed or bookmarked"
    ),
    # RFC 6265bis: a safe method, and the address in the browser's bar changes.
    "samesite=lax": gettext_lazy(
        "sent if another site leads here by a link or a GET form, but not with its POST forms, "
        "images, frames or scripts"
    ),
    "samesite=none": gettext_lazy(
        "sent with requests from any site, unless the browser blocks third-party cookies; Chrome "
        "and Edge drop it without Secure"
    ),
}

Exchange = dict[str, Any]


class WireMiddleware:
    """Add the exchange to a response. It must come before middleware that reads or sets cookies."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not settings.DEBUG:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        run_id = request.headers.get(HEADER, "")
        if run_id == JAR:
            return jar_response(request)
        if not RUN_ID.fullmatch(run_id):
            return self.get_response(request)
        with count_round_trips() as round_trips:
            response = self.get_response(request)
        exchanges = [
            *redirected_runs.get(run_id, []),
            exchange(request, response, round_trips),
        ]
        if response.has_header("Location"):
            redirected_runs.set(run_id, exchanges)
        else:
            redirected_runs.delete(run_id)
        response.headers[HEADER] = header_value(exchanges)
        return response


def jar_response(request: HttpRequest) -> HttpResponse:
    """Return the cookies that the browser sent, for any address, without running its view."""
    reported = header_value([{"sent": sent_cookies(request)}])
    return HttpResponse(status=204, headers={HEADER: reported, "Cache-Control": "no-store"})


def header_value(exchanges: list[Exchange]) -> str:
    """Return the exchanges as JSON in ASCII, shortened if the header would be too long."""
    text = json.dumps(exchanges)
    return text if len(text) <= MAX_HEADER_CHARACTERS else json.dumps(shortened(exchanges))


def shortened(data: Any) -> Any:
    """Return the data with each text cut to MAX_TEXT_CHARACTERS."""
    match data:
        case dict():
            return {name: shortened(value) for name, value in data.items()}
        case list():
            return [shortened(value) for value in data]
        case str() if len(data) > MAX_TEXT_CHARACTERS:
            return f"{data[:MAX_TEXT_CHARACTERS]}…"
    return data


def exchange(request: HttpRequest, response: HttpResponse, round_trips: RoundTrips) -> Exchange:
    """Return a request and its response as JSON data.

    "trips" is None for an engine that does not count its round trips, and of a stream the number
    before its body is sent. "keys" are texts that give access to a session, which the page masks.
    """
    protocol = request.META.get("SERVER_PROTOCOL", "HTTP/1.1")
    is_counted = issubclass(running_engine.store(), ListingMixin)
    lines = list(set_cookie_lines(response))
    return {
        "request": f"{request.method} {request.get_full_path()} {protocol}",
        "sent": sent_cookies(request),
        "understood": [{"name": name, "value": value} for name, value in request.COOKIES.items()],
        "status": f"{response.status_code} {response.reason_phrase}",
        "location": response.headers.get("Location"),
        "cleared": response.headers.get("Clear-Site-Data"),
        "set": [described(line, request) for line in lines[:MAX_SET_COOKIE_LINES]],
        "unlisted": in_groups(lines[MAX_SET_COOKIE_LINES:], request),
        "trips": round_trips.number if is_counted else None,
        "streamed": response.streaming,
        "milliseconds": round(round_trips.seconds * 1000, 2),
        "keys": SIGNED.findall(f"{request.path} {response.headers.get('Location', '')}"),
    }


def described(line: str, request: HttpRequest) -> dict[str, Any]:
    """Return a Set-Cookie line as JSON data. What a cookie lacks does not matter if it deletes."""
    cookie = SetCookie(line, request)
    data = parse_set_cookie(line) | cookie.data
    return data | {"notes": []} if cookie.is_deletion else data


def in_groups(lines: list[str], request: HttpRequest) -> list[dict[str, Any]]:
    """Return which cookies the lines ask for: those that differ in "pairs" only, as one."""
    groups: dict[str, dict[str, Any]] = {}
    for line in lines:
        cookie = SetCookie(line, request)
        group = groups.setdefault(json.dumps(cookie.data), cookie.data | {"pairs": []})
        group["pairs"].append(list(cookie.pair))
    return list(groups.values())


def sent_cookies(request: HttpRequest) -> list[dict[str, Any]]:
    return [parse_pair(text) for text in cookie_header(request).split(";") if text]


def cookie_header(request: HttpRequest) -> str:
    """Return the Cookie header as the browser sent it. WSGI decodes its bytes as Latin-1."""
    text: str = request.META.get("HTTP_COOKIE", "")
    return text.encode("latin-1", "replace").decode("utf-8", "replace")


def set_cookie_lines(response: HttpResponse) -> Iterator[str]:
    """Yield the values of the Set-Cookie headers, in the order in which Django sends them."""
    if by_hand := response.headers.get("Set-Cookie"):
        yield by_hand
    for cookie in response.cookies.values():
        yield cookie.OutputString()


def parse_set_cookie(line: str) -> dict[str, Any]:
    """Parse a Set-Cookie value by the rules of RFC 6265, section 5.2."""
    first, *rest = line.split(";")
    cookie = parse_pair(first)
    attributes = [attribute.strip().partition("=")[::2] for attribute in rest]
    return cookie | {
        "bytes": pair_bytes(cookie["name"], cookie["value"]),
        "attributes": [
            {"name": name, "value": value, "meaning": meaning(name.lower(), value.lower())}
            for name, value in attributes
        ],
        "notes": list(notes({name.lower() for name, _value in attributes})),
    }


def bound_cookie_names() -> list[str]:
    """Return the names of cookies that a browser with a bound session has renewed at any time."""
    return [bound_cookie.cookie_name(), *demand_cookie_names()]


def secret_cookie_names() -> set[str]:
    """Return the names of cookies that sign somebody in or authorize a form."""
    return {
        settings.SESSION_COOKIE_NAME,
        bound_cookie.cookie_name(),
        *map(bound_cookie.cookie_name, (PREVIOUS_COOKIE, VISITOR_COOKIE)),
        settings.CSRF_COOKIE_NAME,
        LOGIN_COOKIE,
        SECURE_LOGIN_COOKIE,
    }


def meaning(name: str, value: str) -> str:
    """Return the meaning of an attribute in a few words, or "" if browsers do not know it."""
    if name == "max-age" and (value == "0" or value.startswith("-")):
        return _("the browser deletes the cookie now")
    if name == "domain" and (ADDRESS.fullmatch(value) or "." not in value):
        return _("an IP address or a name without a dot has no subdomains: sent to this host only")
    if name == "path" and not value.startswith("/"):
        return _("no path, as it does not begin with “/”: the folder of this address (RFC 6265)")
    return str(MEANING.get(f"{name}={value}") or MEANING.get(name, ""))


def notes(attributes: set[str]) -> Iterator[str]:
    """Yield what it means that a cookie lacks an attribute."""
    if not attributes & {"max-age", "expires"}:
        yield _(
            "No Max-Age and no Expires: the cookie ends when the browser closes, but stays if the "
            "browser restores its tabs."
        )
    if "httponly" not in attributes:
        yield _("No HttpOnly: scripts can read it and change it.")
    if "domain" not in attributes:
        yield _("No Domain: sent to this host only.")
    if "path" not in attributes:
        yield _("No Path: sent only below the folder of this address.")
    if "samesite" not in attributes:
        yield _(
            "No SameSite: Chrome and Edge take Lax, and for two minutes also send it with POST "
            "forms of other sites. Firefox and Safari send it with requests from any site, unless "
            "they block third-party cookies."
        )
