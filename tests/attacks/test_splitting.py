"""A line's end in what a form lets into a header would begin another header, or another answer."""

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

from .conftest import Judged, Some

INJECTED = "X-Injected: yes"

# A line's end, what some programs take for one, and what becomes one when it is cut to a byte.
ENDS = [
    "\r\n", "\n", "\r", "\0", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029",
    "\u010d\u010a", "\u560d\u560a", "\uff0d\uff0a", "\u240d\u240a", "%0d%0a", "%0a", "%250d%250a",
    "%u000d%u000a", "%e5%98%8d%e5%98%8a", "\\r\\n", "\\015\\012", "\r\n\r\n", "\r\n ", "\r\n\t",
    "&#13;&#10;", "=?utf-8?q?=0d=0a?=", "\r\nSet-Cookie: injected=x", ";\r\n", "\ufeff\r\n",
]  # fmt: skip

SETTERS = ["set-cookie", "max-age", "expires", "attributes", "by-hand", "on-a-template", "on-json"]
# Address and field: all that a form lets into Set-Cookie, or into Location.
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


def tried() -> Iterator[tuple[str, str, str]]:
    for (path, field), end in product(FIELDS, ENDS):
        for text in (f"a{end}{INJECTED}", f"{end}{INJECTED}{end}{end}<p>", f"/a{end}{INJECTED}"):
            yield path, field, text


def is_split(lines: list[bytes]) -> bool:
    """Whether any line of a header is another's doing, or holds what is no text."""
    wrong = (b"\r", b"\n", b"\0")
    return any(
        line.lower().startswith((b"x-injected", b"<p>", b"set-cookie: injected"))
        or any(byte in line for byte in wrong)
        for line in lines
    )


def test_no_field_splits_a_header(profile: str, admin: User, some: Some, judged: Judged) -> None:
    client = Client(raise_request_exception=False, headers={"Sec-Fetch-Site": "same-origin"})
    known = {"username": "admin", "password": "cookies"}

    def is_lost(path: str, field: str, text: str) -> bool:
        form = {field: text}
        client.cookies.clear()
        if path.startswith(POSTED):
            answer: Any = client.post(path, {"language": "en", **known, **form})
        else:
            answer = client.get(path, form)
        lines = [f"{name}: {value}" for name, value in answer.headers.items()]
        lines += [f"Set-Cookie: {cookie.OutputString()}" for cookie in answer.cookies.values()]
        return answer.status_code >= 500 or is_split([line.encode() for line in lines])

    tries = some(tried(), 11)
    judged("A header is split", tries, [tried for tried in tries if is_lost(*tried)])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, demo_database: Path) -> Iterator[str]:
    with running(DATABASE_URL=copied(demo_database, tmp_path_factory.mktemp("site"))) as address:
        yield address


def answered(site: str, request: bytes) -> bytes:
    """All that comes back on that connection, as bytes."""
    where = urlsplit(site)
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=30) as wire:
        wire.sendall(request)
        wire.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: wire.recv(65536), b""))


def spelled(path: str, field: str, text: str, host: str) -> Iterator[bytes]:
    """Percent-encoded as a browser would, as bytes of Latin-1, and as they stand."""
    host = host.removeprefix("http://")
    head = f" HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
    known = "username=ada&password=cookies&language=en&"
    latin = "".join(chr(ord(character) % 256) for character in text).encode("latin-1")
    for sent in (quote(text, safe=""), quote(latin, safe="")):
        if not path.startswith(POSTED):
            yield f"GET {path}?{field}={sent}{head}\r\n".encode()
            continue
        form = f"{known}{field}={sent}"
        length = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}"
        site = "Sec-Fetch-Site: same-origin\r\n"
        yield f"POST {path}{head}{site}{length}\r\n\r\n{form}".encode()
    raw = text.replace("\r", "").replace("\n", "").replace(" ", "+").encode()
    yield f"GET {path}?{field}=".encode() + raw + f"{head}\r\n".encode()


def test_nor_on_the_wire(site: str, some: Some, judged: Judged) -> None:
    """Of a real process, whose bytes nobody has read before."""

    def is_lost(request: bytes) -> bool:
        answer = answered(site, request)
        head, _, _body = answer.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        if not first.startswith(b"HTTP/1.1 "):
            # The server's own, to what is no request.
            return bool(answer) and b"X-Injected: yes\r\n" in answer
        return first.startswith(b"HTTP/1.1 500") or is_split(lines) or b"\nHTTP/1." in answer

    tries = [
        request
        for path, field, text in some(tried(), 61)
        for request in spelled(path, field, text, site)
    ]
    lost = [request for request in tries if is_lost(request)]
    judged("A header is split, on the wire", tries, lost)
