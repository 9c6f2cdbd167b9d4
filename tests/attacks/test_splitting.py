"""A line break in a field that becomes part of a header would start another header or response."""

import socket
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from django.test import Client

from demo.models import User
from tests.conftest import copied
from tests.sites import running

from .conftest import Report, Sample

INJECTED = "X-Injected: yes"

# Line breaks, what some programs read as one, and what becomes one when cut to a byte.
LINE_BREAKS = [
    "\r\n", "\n", "\r", "\0", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029",
    "\u010d\u010a", "\u560d\u560a", "\uff0d\uff0a", "\u240d\u240a", "%0d%0a", "%0a", "%250d%250a",
    "%u000d%u000a", "%e5%98%8d%e5%98%8a", "\\r\\n", "\\015\\012", "\r\n\r\n", "\r\n ", "\r\n\t",
    "&#13;&#10;", "=?utf-8?q?=0d=0a?=", "\r\nSet-Cookie: injected=x", ";\r\n", "\ufeff\r\n",
]  # fmt: skip

SETTERS = ["set-cookie", "max-age", "expires", "attributes", "by-hand", "on-a-template", "on-json"]
# Paths and fields: all that become part of Set-Cookie or Location.
FIELDS = [
    *product((f"/cookies/{name}/" for name in (*SETTERS, "on-a-redirect")), ["name", "value"]),
    *product(["/cookies/attributes/"], ["path", "domain", "samesite", "max_age"]),
    *product(["/signed/sign/"], ["name", "value", "salt"]),
    *product(["/reading/delete-elsewhere/"], ["name", "path", "domain"]),
    *product(["/reading/delete/", "/signed/change/", "/cookies/too-large/"], ["name"]),
    ("/cookies/language/", "language"),
    ("/cookies/expires/", "expires"),
    ("/language/", "next"),
    ("/language/", "language"),
    ("/auth/sign-in/", "next"),
    ("/auth/cookie-sign-in/", "next"),
    ("/auth/by-hand-sign-in/", "next"),
    ("/admin/login/", "next"),
]
POSTED = ("/language/", "/auth/", "/admin/")


def injections() -> Iterator[tuple[str, str, str]]:
    for (path, field), line_break in product(FIELDS, LINE_BREAKS):
        for text in (
            f"a{line_break}{INJECTED}",
            f"{line_break}{INJECTED}{line_break}{line_break}<p>",
            f"/a{line_break}{INJECTED}",
        ):
            yield path, field, text


def is_split(lines: list[bytes]) -> bool:
    """Whether a header was injected, or contains a control character."""
    forbidden = (b"\r", b"\n", b"\0")
    return any(
        line.lower().startswith((b"x-injected", b"<p>", b"set-cookie: injected"))
        or any(byte in line for byte in forbidden)
        for line in lines
    )


def test_no_field_splits_header(profile: str, admin: User, sample: Sample, report: Report) -> None:
    client = Client(raise_request_exception=False, headers={"Sec-Fetch-Site": "same-origin"})
    credentials = {"username": "admin", "password": "cookies"}

    def splits(path: str, field: str, text: str) -> bool:
        form = {field: text}
        client.cookies.clear()
        if path.startswith(POSTED):
            response: Any = client.post(path, {"language": "en", **credentials, **form})
        else:
            response = client.get(path, form)
        lines = [f"{name}: {value}" for name, value in response.headers.items()]
        lines += [f"Set-Cookie: {cookie.OutputString()}" for cookie in response.cookies.values()]
        return response.status_code >= 500 or is_split([line.encode() for line in lines])

    tries = sample(injections(), 11)
    report("A header is split", tries, [attempt for attempt in tries if splits(*attempt)])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, demo_database: Path) -> Iterator[str]:
    with running(DATABASE_URL=copied(demo_database, tmp_path_factory.mktemp("site"))) as address:
        yield address


def raw_response(site: str, request: bytes) -> bytes:
    """Send the request, and return all bytes of the response."""
    url = urlsplit(site)
    with socket.create_connection((url.hostname or "", url.port or 0), timeout=30) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def raw_requests(path: str, field: str, text: str, host: str) -> Iterator[bytes]:
    """Yield requests with the text percent-encoded as UTF-8 and as Latin-1, and as it is."""
    host = host.removeprefix("http://")
    head = f" HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
    credentials = "username=ada&password=cookies&language=en&"
    latin = "".join(chr(ord(character) % 256) for character in text).encode("latin-1")
    for encoded in (quote(text, safe=""), quote(latin, safe="")):
        if not path.startswith(POSTED):
            yield f"GET {path}?{field}={encoded}{head}\r\n".encode()
            continue
        form = f"{credentials}{field}={encoded}"
        length = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}"
        site = "Sec-Fetch-Site: same-origin\r\n"
        yield f"POST {path}{head}{site}{length}\r\n\r\n{form}".encode()
    raw = text.replace("\r", "").replace("\n", "").replace(" ", "+").encode()
    yield f"GET {path}?{field}=".encode() + raw + f"{head}\r\n".encode()


def test_no_field_splits_header_on_the_wire(site: str, sample: Sample, report: Report) -> None:
    """A real server's response is checked byte by byte."""

    def splits(request: bytes) -> bool:
        response = raw_response(site, request)
        head, _, _body = response.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        if not first.startswith(b"HTTP/1.1 "):
            # The server's own response to an invalid request.
            return bool(response) and b"X-Injected: yes\r\n" in response
        return first.startswith(b"HTTP/1.1 500") or is_split(lines) or b"\nHTTP/1." in response

    tries = [
        request
        for path, field, text in sample(injections(), 61)
        for request in raw_requests(path, field, text, site)
    ]
    succeeded = [request for request in tries if splits(request)]
    report("A header is split, on the wire", tries, succeeded)
