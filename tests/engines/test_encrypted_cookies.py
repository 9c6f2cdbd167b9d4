"""What an encrypted cookie hides, and which cookies are refused."""

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
    """Return the encrypted bytes of the cookie, which its browser can read."""
    text = cookie.removeprefix(ENCRYPTED_COOKIE_PREFIX)
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def cookie_with(content: bytes) -> str:
    return ENCRYPTED_COOKIE_PREFIX + base64.urlsafe_b64encode(content).decode().rstrip("=")


def test_cookie_does_not_show_the_data() -> None:
    """A signed cookie shows all of it."""
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


def test_each_cookie_of_the_same_data_is_different() -> None:
    """No block of sixteen bytes occurs twice."""
    cookies = [contents(cookie_of(where=SECRET)) for _ in range(50)]
    blocks = [cookie[at : at + 16] for cookie in cookies for at in range(0, len(cookie) - 15, 16)]
    assert len(set(blocks)) == len(blocks)


def test_data_is_not_compressed() -> None:
    """The length of compressed data would reveal how much two values have in common."""
    repeated = "a" * 200
    different = "".join(random.Random(0).choices(string.ascii_letters, k=200))
    assert len(cookie_of(a=repeated)) == len(cookie_of(a=different))
    signed = [signing.dumps({"a": text}, compress=True) for text in (repeated, different)]
    assert len(signed[0]) < len(signed[1])


@pytest.mark.parametrize("bit", range(8))
def test_cookie_with_a_changed_bit_opens_nothing(bit: int) -> None:
    content = contents(cookie_of(a=1))
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1 << bit
        assert dict(SessionStore(cookie_with(bytes(changed))).items()) == {}, position


def test_cut_or_extended_cookie_opens_nothing() -> None:
    content = contents(cookie_of(a=1))
    for length in range(len(content)):
        assert dict(SessionStore(cookie_with(content[:length])).items()) == {}
    assert dict(SessionStore(cookie_with(content + b"\0")).items()) == {}


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
def test_malformed_cookie_opens_nothing(text: str) -> None:
    assert dict(SessionStore(text).items()) == {}
    with pytest.raises(DecryptionError):
        decrypted(text)


def test_cookie_of_another_name_opens_nothing(settings: Settings) -> None:
    """The cookie name is authenticated, so a site's other cookies are not taken for sessions."""
    cookie = cookie_of(a=1)
    settings.SESSION_COOKIE_NAME = "staff"
    assert dict(SessionStore(cookie).items()) == {}


def test_data_encrypted_with_another_label_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encrypted_cookies, "ENCRYPTED_COOKIE_LABEL", "another")
    encrypted_cookies.master_key.cache_clear()
    cookie = cookie_of(a=1)
    monkeypatch.undo()
    encrypted_cookies.master_key.cache_clear()
    assert dict(SessionStore(cookie).items()) == {}


def test_signed_and_encrypted_cookies_are_not_interchangeable() -> None:
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

    def test_cookie_of_an_unknown_key_opens_nothing(self, settings: Settings) -> None:
        cookie = cookie_of(a=1)
        settings.SECRET_KEY = "two " * 16
        assert dict(SessionStore(cookie).items()) == {}

    def test_cookie_of_a_fallback_key_opens(self, settings: Settings) -> None:
        cookie = cookie_of(a=1)
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "two " * 16, ["3" * 50, "one " * 16]
        session = SessionStore(cookie)
        assert session["a"] == 1
        session.save()
        settings.SECRET_KEY_FALLBACKS = []
        assert SessionStore(session.session_key)["a"] == 1

    def test_secret_key_may_be_bytes(self, settings: Settings) -> None:
        settings.SECRET_KEY = b"one " * 16
        assert SessionStore(cookie_of(a=1))["a"] == 1


def test_cookie_opens_in_one_spelling_only() -> None:
    """The last base64 character can have unused bits, and a handover compares cookies as text."""
    for length in range(3):
        cookie = cookie_of(a="b" * length)
        for last in string.ascii_letters + string.digits + "-_":
            opened = dict(SessionStore(cookie[:-1] + last).items())
            assert opened == ({"a": "b" * length} if last == cookie[-1] else {})
