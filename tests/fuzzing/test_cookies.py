"""Random Cookie headers: noise, nearly valid headers, and nearly the key of another user."""

import socket

from django.http import parse_cookie
from hypothesis import assume
from hypothesis import strategies as st

from demo.constants import LOGIN_COOKIE
from tests.fault_table import Tally, Whose
from tests.sites import in_production

from .conftest import Fuzz, Log, on_our_engines
from .inputs import mutated, near
from .site import Request, Site
from .users import CANARY, Person, cookie_of, post, sign_up

REQUESTS = [
    Request("/sessions/get-item/", query="key=color"),
    Request("/auth/account/"),
    Request("/auth/cookie-account/"),
    Request("/auth/who-lets-you-in/"),
    Request("/devices/"),
    Request("/session/"),
    Request("/reading/all-cookies/"),
    Request("/reading/by-name/", query="name=color"),
    Request("/signed/read/", query="name=color"),
    post("/sessions/set-item/", key="taste", value="sweet"),
    post("/lifecycle/cycle-key/"),
]

# Names that the site reads, names of old standards, and an empty one.
NAMES = [
    *("sessionid", "csrftoken", LOGIN_COOKIE, "django_language", "messages", "color", "is_login"),
    *("$Version", "$Path", "__Host-sessionid", "Sessionid", "sessionid ", "path", ""),
]


def headers(keys: list[bytes], whole: list[bytes]) -> st.SearchStrategy[bytes]:
    """Headers made of these keys, the first of which is another user's, and of whole headers."""
    names = st.sampled_from([name.encode() for name in NAMES])
    values = st.one_of(
        mutated(st.sampled_from(keys)),
        st.binary(max_size=40),
        # Quoted, with octal escapes.
        st.binary(max_size=10).map(lambda text: b'"%s\\000\\377\\""' % text),
        st.integers(0, 9000).map(lambda length: b"x" * length),
    )
    pairs = st.builds(b"%s=%s".__mod__, st.tuples(names, values))
    between = st.sampled_from([b"; ", b";", b",", b"\0"])
    return st.one_of(
        near(keys[0].decode()).map(cookie_of),
        mutated(st.sampled_from(whole)),
        st.builds(lambda *parts: parts[0].join(parts), between, pairs, pairs),
        st.builds(lambda *parts: b"; ".join(parts), st.sampled_from(whole), pairs),
        st.binary(),
    )


@on_our_engines
def test_random_cookie_header_opens_no_other_session(
    site: Site, whose: Whose, profile: str, log: Log, fuzz: Fuzz, tally: Tally
) -> None:
    ada = sign_up(site, CANARY, CANARY)
    mallory = sign_up(site, "mallory", "blue")
    login = login_cookie(site, ada)
    keys = [ada.key.encode(), mallory.key.encode(), login.encode()]
    whole = [ada.cookie, mallory.cookie, ada.cookie + f"; {LOGIN_COOKIE}={login}".encode()]

    def check(header: bytes, request: Request) -> None:
        cookies = parse_cookie(header.decode(errors="replace"))
        # With the exact key, the session is opened.
        assume(cookies.get("sessionid") != ada.key)
        assume(cookies.get(LOGIN_COOKIE) != login)
        answer = site.send(request, header)
        assert answer.status < 500
        assert not answer.shows(CANARY)
        assert not [record.exc_info for record in log.take_records() if record.exc_info]

    tries = fuzz(6, check, headers(keys, whole), st.sampled_from(REQUESTS))
    request = Request("/sessions/get-item/", query="key=color")
    assert site.send(request, ada.cookie).shows(CANARY)
    tally("Random Cookie header", whose, tries, 0)


def login_cookie(site: Site, person: Person) -> str:
    form = post("/auth/cookie-sign-in/", username=person.name, password="cookies")
    return site.send(form, cookie_of("")).cookie(LOGIN_COOKIE)


def test_random_cookie_header_over_a_socket_is_no_server_error(
    stores: dict[str, str], fuzz: Fuzz, tally: Tally
) -> None:
    """Without CR and LF, which would end the header."""
    with in_production(**stores, SESSION_PROFILE="cache") as host:
        name, _, port = host.partition(":")
        key = "a1" * 16
        gets = st.sampled_from([request for request in REQUESTS if request.method == "GET"])
        statuses = set()

        def check(header: bytes, request: Request) -> None:
            header = header.replace(b"\r", b"").replace(b"\n", b"")
            status = status_of((name, int(port)), request, header)
            assert 200 <= status < 500
            statuses.add(status)

        cookie = cookie_of(key).replace(b"sessionid", b"__Host-sessionid")
        tries = fuzz(0.2, check, headers([key.encode()], [cookie]), gets)
    assert 200 in statuses
    tally("Random Cookie header", "ours", tries, 0)


def status_of(server: tuple[str, int], request: Request, header: bytes) -> int:
    """Send a request, and return the status of the response."""
    lines = [
        f"GET {request.path}?{request.query} HTTP/1.1\r\nHost: {server[0]}\r\n".encode(),
        b"X-Forwarded-Proto: https\r\nConnection: close\r\nCookie: " + header + b"\r\n\r\n",
    ]
    with socket.create_connection(server, timeout=10) as connection:
        connection.sendall(b"".join(lines))
        with connection.makefile("rb") as response:
            return int(response.readline().split()[1])
