"""A few kilobytes that unpack to many megabytes, in whatever a browser sends."""

import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from unittest import mock
from zlib import compress, decompress

import pytest
from django.core import signing
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from demo.constants import IN_PATH_SALT
from demo.models import User
from tests.browsers import browser, key_of
from tests.conftest import on
from tests.fault_table import Whose

from .conftest import Judged, Send, Some
from .test_timing import IN_SIGNING

MEGABYTE = 1_000_000

Sends = Callable[[str], HttpResponse]
NeverUnpacked = Callable[[str, str, Sends], None]


def packed(size: int) -> str:
    """As Django packs what it signs: base64 after a dot."""
    return "." + signing.b64_encode(compress(b"[" + b" " * size + b"]", 9)).decode()


def bombs(salt: str) -> Iterator[str]:
    """None of them signed by the site, though some have a signature of its."""
    _payload, moment, signature = signing.dumps("genuine", salt=salt).split(":")
    for size in (MEGABYTE // 2, MEGABYTE * 2):
        bomb = packed(size)
        yield f"{bomb}:{moment}:{signature}"
        yield f"{bomb}:{signature}"
        yield f"{bomb}:{moment}:" + "A" * 43
        yield signing.TimestampSigner(salt=salt, key="another site's").sign(bomb)
        yield signing.TimestampSigner(salt="another").sign(bomb)
        yield signing.Signer(salt="another").sign(bomb)
        yield bomb
        yield f"{bomb}:"
        yield f".{bomb}:{moment}:{signature}"


def came_of(response: Callable[[], HttpResponse]) -> str:
    """Whether that was unpacked, or an error; empty for neither. What a session holds is small."""
    sizes = [0]

    def unpack(text: bytes) -> bytes:
        plain = decompress(text)
        sizes.append(len(plain))
        return plain

    with mock.patch("zlib.decompress", unpack):
        status = response().status_code
    if max(sizes) > MEGABYTE // 2:
        return "unpacked"
    return "error" if status >= 500 else ""


@pytest.fixture
def never_unpacked(whose: Whose, some: Some, judged: Judged) -> NeverUnpacked:
    def never_unpacked(what: str, salt: str, sends: Sends) -> None:
        everything = list(bombs(salt))
        tries = some(everything)
        judged(what, tries, [bomb for bomb in tries if came_of(partial(sends, bomb))], whose)
        # Were their signatures good, they would be, but for those that have no moment or two dots.
        with mock.patch(IN_SIGNING, return_value=True):
            assert [came_of(partial(sends, bomb)) for bomb in everything].count("unpacked") == 8

    return never_unpacked


@on("signed_cookies")
def test_a_session_that_is_not_signed_is_not_unpacked(
    never_unpacked: NeverUnpacked, send: Send
) -> None:
    def sends(bomb: str) -> HttpResponse:
        return send("/sessions/keys/", f"sessionid={bomb}")

    never_unpacked("A bomb in a cookie", "django.contrib.sessions.backends.signed_cookies", sends)


def test_nor_are_messages(never_unpacked: NeverUnpacked, ada: User, send: Send) -> None:
    key = key_of(browser(ada))

    def sends(bomb: str) -> HttpResponse:
        return send("/devices/", f"messages={bomb}; sessionid={key}")

    never_unpacked("A bomb in a cookie", "django.contrib.messages", sends)


def test_nor_is_what_stands_in_an_address(
    never_unpacked: NeverUnpacked, send: Send, settings: Settings, db: None
) -> None:
    settings.DEMO_SESSION_IN_PATH = True

    def sends(bomb: str) -> HttpResponse:
        return send(f"/in-path/{bomb}/kitchen/")

    never_unpacked("A bomb in an address", IN_PATH_SALT, sends)


@on("db", "file", "signed_cookies")
def test_a_text_to_try_is_unpacked_no_further_than_a_megabyte(
    profile: str, settings: Settings, judged: Judged, db: None
) -> None:
    """Whether or not it is signed: this page shows how it is read."""
    settings.DEBUG = True
    client = Client()
    client.post("/sessions/set-item/")
    client.post("/session/", {"text": "warm:up:x"})

    def is_unpacked(bomb: str) -> bool:
        tracemalloc.start()
        try:
            answer = client.post("/session/", {"text": bomb})
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert b"It cannot be read" in answer.content
        return peak > 10 * MEGABYTE or answer.status_code >= 500

    sizes = (2 * MEGABYTE, 14 * MEGABYTE)
    tries = [f"{packed(size)}:{moment}:x" for size in sizes for moment in ("1xUlbC", "0")]
    assert all(len(bomb) < 20_000 for bomb in tries)
    judged("A bomb in a text to try", tries, filter(is_unpacked, tries))
