"""A few kilobytes that unpack to many megabytes, in whatever a browser sends."""

import tracemalloc
import zlib
from collections.abc import Iterator
from unittest import mock

import pytest
from django.core import signing
from django.test import Client
from pytest_django import Settings

from demo.models import User
from demo.recipes.in_path import SALT as PATH_SALT
from tests.conftest import on
from tests.demo.browsers import browser, key_of
from tests.held import Whose

from .conftest import Judged, Send
from .test_comparing import IN_SIGNING

MEGABYTE = 1_000_000
SESSION_SALT = "django.contrib.sessions.backends.signed_cookies"
MESSAGES_SALT = "django.contrib.messages"


def packed(size: int) -> str:
    """As Django packs what it signs: base64 after a dot."""
    return "." + signing.b64_encode(zlib.compress(b"[" + b" " * size + b"]", 9)).decode()


def bombs(salt: str, genuine: str) -> Iterator[str]:
    """None of them signed by the site."""
    _payload, moment, signature = genuine.rsplit(":", 2)
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


PLACES = {
    "sessionid": (SESSION_SALT, "/sessions/keys/"),
    "messages": (MESSAGES_SALT, "/devices/"),
    "login_auth": ("demo.login_auth", "/auth/cookie-account/"),
}


@pytest.mark.parametrize("name", PLACES)
def test_what_is_not_signed_is_not_unpacked(
    name: str, profile: str, whose: Whose, ada: User, send: Send, judged: Judged
) -> None:
    salt, path = PLACES[name]
    genuine = signing.dumps({"color": "blue" * 100}, salt=salt, compress=True)
    signed_in = f"; sessionid={key_of(browser(ada))}" if name == "messages" else ""

    def is_unpacked(bomb: str) -> bool:
        with mock.patch("zlib.decompress", side_effect=zlib.decompress) as unpack:
            answer = send(path, f"{name}={bomb}{signed_in}")
        # The session of whoever is signed in may itself be packed, and is small.
        sizes = [len(call.args[0]) for call in unpack.call_args_list]
        return max(sizes, default=0) > 900 or answer.status_code >= 500

    tries = list(bombs(salt, genuine))
    judged("A bomb in a cookie", tries, filter(is_unpacked, tries), whose)
    # Were their signatures good, they would be: else nothing was tried.
    if name == "messages" or (name, profile) == ("sessionid", "signed_cookies"):
        with mock.patch(IN_SIGNING, return_value=True):
            assert any(map(is_unpacked, tries))


def test_nor_what_stands_in_an_address(
    whose: Whose, send: Send, settings: Settings, judged: Judged, db: None
) -> None:
    settings.DEMO_SESSION_IN_PATH = True
    genuine = signing.dumps("k" * 32, salt=PATH_SALT)

    def is_unpacked(bomb: str) -> bool:
        with mock.patch("zlib.decompress", side_effect=zlib.decompress) as unpack:
            answer = send(f"/in-path/{bomb}/kitchen/")
        return bool(unpack.call_count) or answer.status_code >= 500

    tries = list(bombs(PATH_SALT, genuine))
    judged("A bomb in an address", tries, filter(is_unpacked, tries), whose)


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
