"""The Cookie header is any bytes: noise, near misses, and keys that are almost somebody else's."""

import socket

from django.http import parse_cookie
from hypothesis import assume
from hypothesis import strategies as st

from demo.constants import LOGIN_COOKIE
from tests.fault_table import Held, Whose
from tests.sites import in_production

from .conftest import Fuzz, Log, ours
from .inputs import mutated, near
from .site import Look, Site
from .users import CANARY, Person, cookie_of, post, signed_in

LOOKS = [
    Look("/sessions/get-item/", query="key=color"),
    Look("/auth/account/"),
    Look("/auth/cookie-account/"),
    Look("/auth/who-lets-you-in/"),
    Look("/devices/"),
    Look("/session/"),
    Look("/reading/all-cookies/"),
    Look("/reading/by-name/", query="name=color"),
    Look("/signed/read/", query="name=color"),
    post("/sessions/set-item/", key="taste", value="sweet"),
    post("/lifecycle/cycle-key/"),
]

# Whose names the site looks at, those of old standards, and none.
NAMES = [
    *("sessionid", "csrftoken", LOGIN_COOKIE, "django_language", "messages", "color", "is_login"),
    *("$Version", "$Path", "__Host-sessionid", "Sessionid", "sessionid ", "path", ""),
]


def headers(keys: list[bytes], whole: list[bytes]) -> st.SearchStrategy[bytes]:
    """Made of keys, the first of them somebody else's, and of whole headers."""
    names = st.sampled_from([name.encode() for name in NAMES])
    values = st.one_of(
        mutated(st.sampled_from(keys)),
        st.binary(max_size=40),
        # Quoted, with characters that a quoted value spells in octal.
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


@ours
def test_any_bytes_in_the_cookie_header(
    site: Site, whose: Whose, profile: str, log: Log, fuzz: Fuzz, held: Held
) -> None:
    ada = signed_in(site, CANARY, CANARY)
    mallory = signed_in(site, "mallory", "blue")
    login = login_cookie(site, ada)
    keys = [ada.key.encode(), mallory.key.encode(), login.encode()]
    whole = [ada.cookie, mallory.cookie, ada.cookie + f"; {LOGIN_COOKIE}={login}".encode()]

    def holds(header: bytes, look: Look) -> None:
        understood = parse_cookie(header.decode(errors="replace"))
        # Whoever has the very key is the one.
        assume(understood.get("sessionid") != ada.key)
        assume(understood.get(LOGIN_COOKIE) != login)
        answer = site.ask(look, header)
        assert answer.status < 500
        assert not answer.shows(CANARY)
        assert not [record.exc_info for record in log.said() if record.exc_info]

    tries = fuzz(6, holds, headers(keys, whole), st.sampled_from(LOOKS))
    look = Look("/sessions/get-item/", query="key=color")
    assert site.ask(look, ada.cookie).shows(CANARY)
    held("A Cookie header of any bytes", whose, tries, 0)


def login_cookie(site: Site, person: Person) -> str:
    form = post("/auth/cookie-sign-in/", username=person.name, password="cookies")
    return site.ask(form, cookie_of("")).cookie(LOGIN_COOKIE)


def test_any_bytes_of_it_over_a_socket(stores: dict[str, str], fuzz: Fuzz, held: Held) -> None:
    """But for the two that would end the header."""
    with in_production(**stores, SESSION_PROFILE="cache") as host:
        name, _, port = host.partition(":")
        key = "a1" * 16
        looks = st.sampled_from([look for look in LOOKS if look.method == "GET"])

        statuses = set()

        def holds(header: bytes, look: Look) -> None:
            header = header.replace(b"\r", b"").replace(b"\n", b"")
            status = exchanged((name, int(port)), look, header)
            assert 200 <= status < 500
            statuses.add(status)

        cookie = cookie_of(key).replace(b"sessionid", b"__Host-sessionid")
        tries = fuzz(0.2, holds, headers([key.encode()], [cookie]), looks)
    assert 200 in statuses
    held("A Cookie header of any bytes", "ours", tries, 0)


def exchanged(server: tuple[str, int], look: Look, header: bytes) -> int:
    """The status that comes back."""
    lines = [
        f"GET {look.path}?{look.query} HTTP/1.1\r\nHost: {server[0]}\r\n".encode(),
        b"X-Forwarded-Proto: https\r\nConnection: close\r\nCookie: " + header + b"\r\n\r\n",
    ]
    with socket.create_connection(server, timeout=10) as connection:
        connection.sendall(b"".join(lines))
        with connection.makefile("rb") as answer:
            return int(answer.readline().split()[1])
