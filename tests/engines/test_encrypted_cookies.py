"""What an encrypted cookie hides, and what passes for one."""

import base64
import json
import random
import string
from collections.abc import Iterator

import pytest
from django.core import signing
from pytest_django import Settings

from cookieproj.engines import encrypted_cookies, signed_cookies
from cookieproj.engines.constants import ENCRYPTED_COOKIE_PREFIX
from cookieproj.engines.encrypted_cookies import SessionStore, decrypted
from cookieproj.engines.encryption import DecryptionError

SECRET = "the blue house by the river"


def cookie_of(**data: object) -> str:
    session = SessionStore()
    session.update(data)
    session.save()
    return session.session_key or ""


def contents(cookie: str) -> bytes:
    """What the browser can make of it without a key."""
    text = cookie.removeprefix(ENCRYPTED_COOKIE_PREFIX)
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def in_cookie(content: bytes) -> str:
    return ENCRYPTED_COOKIE_PREFIX + base64.urlsafe_b64encode(content).decode().rstrip("=")


def test_a_dump_of_the_cookie_shows_nothing() -> None:
    """Where a signed cookie shows all of it."""
    signed = signed_cookies.SessionStore()
    signed["where"] = SECRET
    signed.save()
    text = (signed.session_key or "").partition(":")[0]
    assert json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))) == {"where": SECRET}
    cookie = cookie_of(where=SECRET)
    assert SessionStore(cookie)["where"] == SECRET
    for piece in (SECRET, "where", "blue"):
        assert piece.encode() not in contents(cookie)
        assert base64.b64encode(piece.encode()).rstrip(b"=") not in cookie.encode()


def test_a_session_is_never_encrypted_the_same_way_twice() -> None:
    """Neither the whole nor any sixteen bytes of it."""
    cookies = [contents(cookie_of(where=SECRET)) for _ in range(50)]
    blocks = [cookie[at : at + 16] for cookie in cookies for at in range(0, len(cookie) - 15, 16)]
    assert len(set(blocks)) == len(blocks)


def test_its_length_is_that_of_the_data() -> None:
    """Nothing is compressed: by the length nobody learns whether two values have much in common."""
    repeated = "a" * 200
    different = "".join(random.Random(0).choices(string.ascii_letters, k=200))
    assert len(cookie_of(a=repeated)) == len(cookie_of(a=different))
    signed = [signing.dumps({"a": text}, compress=True) for text in (repeated, different)]
    assert len(signed[0]) < len(signed[1])


@pytest.mark.parametrize("bit", range(8))
def test_each_changed_bit_is_found(bit: int) -> None:
    content = contents(cookie_of(a=1))
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << bit
        assert dict(SessionStore(in_cookie(bytes(changed))).items()) == {}, place


def test_each_cut_and_each_addition_is_found() -> None:
    content = contents(cookie_of(a=1))
    for length in range(len(content)):
        assert dict(SessionStore(in_cookie(content[:length])).items()) == {}
    assert dict(SessionStore(in_cookie(content + b"\0")).items()) == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "e1.",
        "e1." + "A" * 54,
        "e1." + "A" * 57,
        "e1." + "=" * 60,
        "e2." + "A" * 60,
        "e1." + "\u0660" * 60,
        "\0" * 60,
    ],
)
def test_what_is_no_cookie_opens_nothing(text: str) -> None:
    assert dict(SessionStore(text).items()) == {}
    with pytest.raises(DecryptionError):
        decrypted(text)


def test_a_cookie_of_another_name_is_none(settings: Settings) -> None:
    """Its name is authenticated: what a site keeps in one cookie is not taken from another."""
    cookie = cookie_of(a=1)
    settings.SESSION_COOKIE_NAME = "staff"
    assert dict(SessionStore(cookie).items()) == {}


def test_the_same_bytes_for_another_purpose_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encrypted_cookies, "ENCRYPTED_COOKIE_LABEL", "another")
    encrypted_cookies.master_key.cache_clear()
    cookie = cookie_of(a=1)
    monkeypatch.undo()
    encrypted_cookies.master_key.cache_clear()
    assert dict(SessionStore(cookie).items()) == {}


def test_a_signed_cookie_is_no_encrypted_one_nor_the_other_way_round() -> None:
    signed = signing.dumps({"a": 1}, salt="django.contrib.sessions.backends.signed_cookies")
    assert dict(SessionStore(signed).items()) == {}
    cookie = cookie_of(a=1)
    assert dict(signed_cookies.SessionStore(cookie).items()) == {}
    assert SessionStore.is_cookie(cookie)
    assert not SessionStore.is_cookie(signed)
    assert not signed_cookies.SessionStore.is_cookie(cookie)
    assert signed_cookies.SessionStore.is_cookie(signed)


class TestSecretKey:
    @pytest.fixture(autouse=True)
    def secrets(self, settings: Settings) -> Iterator[None]:
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "one " * 16, []
        yield
        encrypted_cookies.master_key.cache_clear()

    def test_another_one_opens_nothing(self, settings: Settings) -> None:
        cookie = cookie_of(a=1)
        settings.SECRET_KEY = "two " * 16
        assert dict(SessionStore(cookie).items()) == {}

    def test_it_is_good_as_a_fallback(self, settings: Settings) -> None:
        cookie = cookie_of(a=1)
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "two " * 16, ["3" * 50, "one " * 16]
        session = SessionStore(cookie)
        assert session["a"] == 1
        session.save()
        settings.SECRET_KEY_FALLBACKS = []
        assert SessionStore(session.session_key)["a"] == 1

    def test_bytes_are_one_too(self, settings: Settings) -> None:
        settings.SECRET_KEY = b"one " * 16
        assert SessionStore(cookie_of(a=1))["a"] == 1


def test_one_cookie_has_one_spelling() -> None:
    """In base64 the last character may have bits to spare, and a handover knows cookies by text."""
    for length in range(3):
        cookie = cookie_of(a="b" * length)
        for last in string.ascii_letters + string.digits + "-_":
            opened = dict(SessionStore(cookie[:-1] + last).items())
            assert opened == ({"a": "b" * length} if last == cookie[-1] else {})
