"""A few kilobytes in a request that decompress to many megabytes."""

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

from .conftest import Report, Sample, Send
from .test_timing import SESSIONS_COMPARE, SIGNING_COMPARE

MEGABYTE = 1_000_000

SendBomb = Callable[[str], HttpResponse]
CheckBombs = Callable[[str, str, SendBomb], None]


def compressed(size: int) -> str:
    """Return data compressed as in Django's signed texts: base64 after a dot."""
    return "." + signing.b64_encode(compress(b"[" + b" " * size + b"]", 9)).decode()


def bombs(salt: str) -> Iterator[str]:
    """Yield bombs without a valid signature. Some have the signature of another text."""
    _payload, timestamp, signature = signing.dumps("genuine", salt=salt).split(":")
    for size in (MEGABYTE // 2, MEGABYTE * 2):
        bomb = compressed(size)
        yield f"{bomb}:{timestamp}:{signature}"
        yield f"{bomb}:{signature}"
        yield f"{bomb}:{timestamp}:" + "A" * 43
        yield signing.TimestampSigner(salt=salt, key="another site's").sign(bomb)
        yield signing.TimestampSigner(salt="another").sign(bomb)
        yield signing.Signer(salt="another").sign(bomb)
        yield bomb
        yield f"{bomb}:"
        yield f".{bomb}:{timestamp}:{signature}"


def outcome_of(response: Callable[[], HttpResponse]) -> str:
    """Return "unpacked" for more data than a session has, "error", or an empty text."""
    sizes = [0]

    def decompress_and_measure(text: bytes) -> bytes:
        decompressed = decompress(text)
        sizes.append(len(decompressed))
        return decompressed

    with mock.patch("zlib.decompress", decompress_and_measure):
        status = response().status_code
    if max(sizes) > MEGABYTE // 2:
        return "unpacked"
    return "error" if status >= 500 else ""


@pytest.fixture
def check_bombs(whose: Whose, sample: Sample, report: Report) -> CheckBombs:
    def check_bombs(what: str, salt: str, send_bomb: SendBomb) -> None:
        all_bombs = list(bombs(salt))
        tries = sample(all_bombs)
        report(what, tries, [bomb for bomb in tries if outcome_of(partial(send_bomb, bomb))], whose)
        # With a valid signature they are unpacked, unless without timestamp or with two dots.
        with (
            mock.patch(SIGNING_COMPARE, return_value=True),
            mock.patch(SESSIONS_COMPARE, return_value=True),
        ):
            assert [outcome_of(partial(send_bomb, bomb)) for bomb in all_bombs].count(
                "unpacked"
            ) == 8

    return check_bombs


@on("signed_cookies")
def test_unsigned_session_is_not_decompressed(check_bombs: CheckBombs, send: Send) -> None:
    def send_bomb(bomb: str) -> HttpResponse:
        return send("/sessions/keys/", f"sessionid={bomb}")

    check_bombs("A bomb in a cookie", "django.contrib.sessions.backends.signed_cookies", send_bomb)


def test_unsigned_messages_are_not_decompressed(
    check_bombs: CheckBombs, ada: User, send: Send
) -> None:
    key = key_of(browser(ada))

    def send_bomb(bomb: str) -> HttpResponse:
        return send("/devices/", f"messages={bomb}; sessionid={key}")

    check_bombs("A bomb in a cookie", "django.contrib.messages", send_bomb)


def test_unsigned_token_in_url_is_not_decompressed(
    check_bombs: CheckBombs, send: Send, settings: Settings, db: None
) -> None:
    settings.DEMO_SESSION_IN_PATH = True

    def send_bomb(bomb: str) -> HttpResponse:
        return send(f"/in-path/{bomb}/kitchen/")

    check_bombs("A bomb in a URL", IN_PATH_SALT, send_bomb)


@on("db", "file", "signed_cookies")
def test_text_to_decode_is_decompressed_to_a_megabyte_at_most(
    profile: str, settings: Settings, report: Report, db: None
) -> None:
    """The page decodes any text, signed or not."""
    settings.DEBUG = True
    client = Client()
    client.post("/sessions/set-item/")
    client.post("/session/", {"text": "warm:up:x"})

    def is_unpacked(bomb: str) -> bool:
        tracemalloc.start()
        try:
            response = client.post("/session/", {"text": bomb})
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert b"It cannot be read" in response.content
        return peak > 10 * MEGABYTE or response.status_code >= 500

    sizes = (2 * MEGABYTE, 14 * MEGABYTE)
    tries = [f"{compressed(size)}:{timestamp}:x" for size in sizes for timestamp in ("1xUlbC", "0")]
    assert all(len(bomb) < 20_000 for bomb in tries)
    report("A bomb in a text to decode", tries, filter(is_unpacked, tries))
