"""Stored sessions, copies, tombstones and exchanged cookies keep their form between releases.

The tests write and read them by literal names, so that no release misreads data of an earlier one.
"""

import base64
import json
import time
import zlib
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.core import signing
from django.core.cache import caches
from django.test.utils import override_settings
from django.utils import timezone
from django.utils.crypto import salted_hmac
from pymongo.collection import Collection
from pytest_django import Settings
from redis import Redis

from cookieproj.engines.benchmark.namespace import namespaced
from cookieproj.engines.handover import session_store
from cookieproj.engines.handover.movable_engines import handover_engine
from cookieproj.engines.mongodb_client import documents
from cookieproj.engines.store_probe import without_cache
from tests.conftest import on

from .handover_switch import Browser

KEY = "k" * 32
STORE_SALT = "django.contrib.sessions.SessionStore"
COOKIE_SALT = "django.contrib.sessions.backends.signed_cookies"

pytestmark = pytest.mark.usefixtures("db", "empty_stores")

on_server = on("db", "cache", "file", "cached_db")


def signed(data: dict[str, Any], salt: str) -> str:
    return signing.dumps(data, salt=salt, compress=True)


def cipher(salt: bytes) -> tuple[AESGCM, bytes, bytes]:
    """Return the cipher, nonce and associated data of an encrypted cookie with that salt."""
    hkdf = HKDF(SHA256(), 32, salt=None, info=b"cookieproj.engines.encrypted_cookies")
    expanded = HKDFExpand(SHA256(), 44, info=salt).derive(
        hkdf.derive(django_settings.SECRET_KEY.encode())
    )
    return AESGCM(expanded[:32]), expanded[32:], b"cookieproj.engines.encrypted_cookies sessionid"


def encrypted(data: dict[str, Any]) -> str:
    text = int(time.time()).to_bytes(8, "big") + json.dumps(data).encode()
    aead, nonce, name = cipher(b"s" * 16)
    sealed = b"s" * 16 + aead.encrypt(nonce, text, name)
    return "e1." + base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def decrypted(cookie: str) -> Any:
    text = cookie.removeprefix("e1.")
    sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    aead, nonce, name = cipher(sealed[:16])
    return json.loads(aead.decrypt(nonce, sealed[16:], name)[8:])


def collection() -> Collection[dict[str, Any]]:
    """Return the collection of sessions, by its literal name."""
    return documents(django_settings.SESSION_MONGODB_URL).database["django_session"]


def write_session(
    profile: str, data: dict[str, Any], key: str = KEY, folder: Path | None = None
) -> str:
    """Write the data to that engine's store, and return the key or cookie that opens it."""
    text = signed(data, STORE_SALT)
    match profile:
        case "signed_cookies":
            return signed(data, COOKIE_SALT)
        case "encrypted_cookies":
            return encrypted(data)
        case "file":
            assert folder
            (folder / f"sessionid{key}").write_text(text)
        case "cache":
            caches["sessions"].set(f"django.contrib.sessions.cache{key}", data, 3600)
        case "mongodb":
            expires = timezone.now() + timedelta(hours=1)
            payload = json.dumps(data).encode()
            collection().insert_one({"_id": key, "data": payload, "expires": expires})
        case _:
            expires = timezone.now() + timedelta(hours=1)
            Session.objects.create(session_key=key, session_data=text, expire_date=expires)
    return key


def read(profile: str, key: str, folder: Path) -> Any:
    """Return the data that the store has under the key."""
    match profile:
        case "signed_cookies":
            return signing.loads(key, salt=COOKIE_SALT)
        case "encrypted_cookies":
            return decrypted(key)
        case "file":
            return signing.loads((folder / f"sessionid{key}").read_text(), salt=STORE_SALT)
        case "mongodb":
            document = collection().find_one(key)
            assert document
            return json.loads(document["data"])
        case "cache" | "cached_db":
            return caches["sessions"].get(f"django.contrib.sessions.{profile}{key}")
    return signing.loads(Session.objects.get(pk=key).session_data, salt=STORE_SALT)


def test_session_in_the_literal_form_opens(profile: str, tmp_path: Path) -> None:
    key = write_session(profile, {"a": 1}, folder=tmp_path)
    assert dict(session_store()(key).items()) == {"a": 1}


def test_session_is_stored_in_the_literal_form(profile: str, tmp_path: Path) -> None:
    browser = Browser()
    browser.set(a=1)
    assert read(profile, browser.cookie or "", tmp_path) == {"a": 1}


def test_classes_derived_from_an_engine_sign_with_the_same_salt(profile: str) -> None:
    """The classes for a benchmark, for a probe and for a handover."""
    store = session_store()
    with namespaced(store) as in_namespace:
        derived = [in_namespace, without_cache(store), handover_engine(profile).store]
    with override_settings(SESSION_HANDOVER_FROM="file" if profile != "file" else "db"):
        derived.append(type(session_store()()))
    assert {store_class().key_salt for store_class in derived} == {STORE_SALT}


@on("file")
def test_file_lock_has_the_literal_name(profile: str, tmp_path: Path) -> None:
    key = write_session(profile, {"a": 1}, folder=tmp_path)
    session = session_store()(key)
    session["b"] = 2
    session.save()
    [lock] = tmp_path.glob(".*")
    assert lock.name == f".sessionid.lock{zlib.crc32(KEY.encode()) % 64:02}"


@on_server
@pytest.mark.parametrize(
    "data", [{"_session_ended": True}, {"_session_moved": {"a": 1}}], ids=["ended", "moved"]
)
def test_tombstone_is_no_session(profile: str, tmp_path: Path, data: dict[str, Any]) -> None:
    key = write_session(profile, data, folder=tmp_path)
    session = session_store()(key)
    assert not session.exists(key)
    assert dict(session.items()) == {}


@on("cached_db")
@pytest.mark.django_db(transaction=True)
def test_tombstone_in_a_cache_is_not_replaced(profile: str, redis_url: str) -> None:
    write_session(profile, {"a": 1})
    entries, name = Redis.from_url(f"{redis_url}/1"), f":1:django.contrib.sessions.cached_db{KEY}"
    entries.set(name, b"~" + b"0" * 16, ex=60)
    session = session_store()(KEY)
    session["b"] = 2
    session.save()
    assert entries.get(name) == b"~" + b"0" * 16


def hand_over(settings: Settings, old: str, new: str) -> None:
    settings.SESSION_ENGINE = f"cookieproj.engines.{new}"
    settings.SESSION_HANDOVER_FROM = old


# The ids of stores in copies and in cookies.
IDS = {"db": "table django_session", "file": "files sessionid"}


class TestServerToCookie:
    """A cookie that was exchanged for a session key of the previous store."""

    @pytest.fixture(params=IDS)
    def old(self, request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> str:
        old: str = request.param
        hand_over(settings, old, "signed_cookies")
        return old

    def cookie(self, old: str, *, is_settled: bool) -> str:
        name = sha256(f"cookieproj.engines.handover {IDS[old]}".encode()).hexdigest()[:12]
        return signed({"a": 1, "_session_former": [KEY, is_settled, name]}, COOKIE_SALT)

    @pytest.mark.parametrize(("is_settled", "data"), [(False, {"a": 1, "b": 2}), (True, {"a": 1})])
    def test_cookie_opens_the_session(
        self, old: str, tmp_path: Path, is_settled: bool, data: dict[str, Any]
    ) -> None:
        write_session(old, {"a": 1, "b": 2}, folder=tmp_path)
        assert Browser(self.cookie(old, is_settled=is_settled)).read() == data

    def test_session_key_is_exchanged_for_the_cookie(self, old: str, tmp_path: Path) -> None:
        write_session(old, {"a": 1}, folder=tmp_path)
        browser = Browser(KEY)
        browser.read()
        exchanged, expected = (
            signing.loads(cookie or "", salt=COOKIE_SALT)
            for cookie in (browser.cookie, self.cookie(old, is_settled=False))
        )
        assert exchanged == expected

    def test_late_request_gets_no_cookie(self, old: str, tmp_path: Path) -> None:
        write_session(old, {"a": 1, "_session_exchanged": True}, folder=tmp_path)
        browser = Browser(KEY)
        assert browser.read() == {"a": 1}
        assert browser.cookie == KEY

    def test_confirmed_exchange_is_marked_in_the_old_store(self, old: str, tmp_path: Path) -> None:
        write_session(old, {"a": 1}, folder=tmp_path)
        Browser(self.cookie(old, is_settled=False)).read()
        assert read(old, KEY, tmp_path) == {"a": 1, "_session_exchanged": True}


class TestCookieToServer:
    """The entry for an exchanged cookie, and the session that the cookie became."""

    def test_exchanged_cookie_opens_the_session(self, settings: Settings) -> None:
        hand_over(settings, "signed_cookies", "db")
        cookie, made_with = signed({"a": 1}, COOKIE_SALT), "m" * 32
        write_session("db", {"_session_key_made_with": made_with}, self.key(cookie))
        write_session("db", {"a": 1, "b": 2}, self.key(cookie, made_with))
        browser = Browser(cookie)
        assert browser.read() == {"a": 1, "b": 2}
        assert browser.cookie == self.key(cookie, made_with)

    def test_cookie_is_exchanged_for_a_session_key(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        hand_over(settings, "signed_cookies", "db")
        cookie = signed({"a": 1}, COOKIE_SALT)
        browser = Browser(cookie)
        browser.read()
        entry = read("db", self.key(cookie), tmp_path)
        assert list(entry) == ["_session_key_made_with"]
        assert browser.cookie == self.key(cookie, entry["_session_key_made_with"])

    def key(self, cookie: str, made_with: str = "") -> str:
        salt = f"cookieproj.engines.handover{made_with}"
        return salted_hmac(salt, cookie, algorithm="sha256").hexdigest()[:40]


def digest(value: Any) -> bytes:
    """Return the digest of text, numbers, lists and dicts, as in the mark of a copy."""
    name, members = f"builtins.{type(value).__name__}", []
    match value:
        case str():
            name += f" {value}"
        case int():
            name += f" {value:#x}"
        case list():
            members = list(map(digest, value))
        case dict():
            members = sorted(digest(key) + digest(item) for key, item in value.items())
    return sha256(sha256(name.encode()).digest() + b"".join(members)).digest()


Mark = Callable[[str], Any]


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        (lambda old: digest([IDS[old], {"a": 1}]).hex()[:32], {}),
        (lambda old: digest([IDS[old], {"a": 2}]).hex()[:32], {"a": 1}),
        (lambda old: digest(["table another", {"a": 1}]).hex()[:32], {"a": 1}),
        (lambda old: "removed", {"a": 1}),
    ],
    ids=["copy", "changed", "another store's", "removed"],
)
@pytest.mark.parametrize(("old", "new"), [("db", "file"), ("file", "db")])
def test_copy_ends_with_its_original(
    settings: Settings, tmp_path: Path, old: str, new: str, mark: Mark, expected: dict[str, Any]
) -> None:
    """The original has ended, so a copy opens nothing. Entries that are no copies are sessions."""
    hand_over(settings, old, new)
    write_session(new, {"a": 1, "_session_copy": mark(old)}, folder=tmp_path)
    assert Browser(KEY).read() == expected


@pytest.mark.parametrize(("old", "new"), [("db", "file"), ("file", "db")])
def test_tombstone_in_the_new_store_ends_the_session(
    settings: Settings, tmp_path: Path, old: str, new: str
) -> None:
    hand_over(settings, old, new)
    write_session(old, {"a": 1}, folder=tmp_path)
    write_session(new, {"_session_ended": True}, folder=tmp_path)
    assert Browser(KEY).read() == {}
    Browser(KEY).set(b=2)
    assert read(new, KEY, tmp_path) == {"_session_ended": True}
