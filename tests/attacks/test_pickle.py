"""An attacker who can write to Redis plants a pickle, which would run code when loaded."""

import pickle
import re
import zlib
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings
from redis import Redis

from demo.models import User
from tests.browsers import browser, key_of
from tests.conftest import on

from .conftest import Report, Sample, Send


class Canary:
    """Loading its pickle creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def pickles(path: Path) -> Iterator[bytes]:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        canary = pickle.dumps(Canary(path), protocol)
        yield canary
        yield pickle.dumps({"color": Canary(path)}, protocol)
        yield canary + b"and more"
        yield b" " + canary
        yield b'{"color": ' + canary + b"}"
        yield zlib.compress(canary)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    path = tmp_path / "canary"
    pickle.loads(pickle.dumps(Canary(path)))
    assert path.exists()
    path.unlink()
    return path


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """The Redis of the sessions, without Django's cache in between."""
    with Redis.from_url(f"{redis_url}/1") as client:
        client.flushdb()
        yield client


def plant(redis: Redis, session_key: str, payload: bytes) -> None:
    names: Any = redis.keys(f"*{session_key}")
    [name] = names
    redis.set(name, payload)


def uses_of(client: Client, admin: Client) -> Iterator[object]:
    """Yield the result of everything that reads the session: its browser, the admin, a command."""
    yield client.get("/auth/account/")
    yield client.get("/session/?whole")
    yield admin.get("/devices/")
    yield admin.get("/admin/cookieproj_engines/")
    list_page = admin.get("/admin/cookieproj_engines/storedsession/")
    yield list_page
    for row in re.findall(
        r'href="([^"]+/storedsession/[^"]+/change/)"', list_page.content.decode()
    ):
        yield admin.get(row)
    yield call_command("clearsessions", dry_run=True, stdout=StringIO())
    yield client.post("/sessions/set-item/")
    yield client.post("/auth/sign-in/", {"username": "ada", "password": "cookies"})
    yield client.post("/auth/sign-out/")


@on("cache", "cached_db")
def test_planted_pickle_is_never_loaded(
    profile: str,
    redis: Redis,
    canary: Path,
    admin: User,
    ada: User,
    settings: Settings,
    sample: Sample,
    report: Report,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.DEBUG = True
    admin_browser = browser(admin)
    tries, succeeded = sample(pickles(canary), 11), []
    for payload in tries:
        client = browser(ada)
        key = key_of(client)
        plant(redis, key, payload)
        caplog.clear()
        for result in uses_of(client, admin_browser):
            failed = isinstance(result, HttpResponse) and result.status_code >= 500
            succeeded += [payload] if canary.exists() or failed else []
        assert "Session data corrupted" in caplog.text
        redis.delete(*redis.keys(f"*{key}"))
    report(f"A pickle planted in Redis, {profile}", tries, succeeded)


@on("cache", "cached_db")
def test_session_with_planted_pickle_is_empty_or_read_from_its_row(
    profile: str, redis: Redis, canary: Path, ada: User, send: Send, report: Report
) -> None:
    tries, succeeded = list(pickles(canary)), []
    for payload in tries:
        client = browser(ada)
        client.post("/sessions/set-item/")
        plant(redis, key_of(client), payload)
        page = send("/sessions/get-item/", f"sessionid={key_of(client)}").content
        expected = b"no key color" if profile == "cache" else b"is blue"
        assert expected in page
        succeeded += [payload] if canary.exists() else []
    report(f"A pickle planted in Redis, {profile}", tries, succeeded)


@on("cache", "cached_db")
@pytest.mark.parametrize(
    "backend", ["django.core.cache.backends.redis.RedisCache", "django_redis.cache.RedisCache"]
)
def test_djangos_engines_load_planted_pickle(
    backend: str,
    profile: str,
    redis: Redis,
    redis_url: str,
    canary: Path,
    ada: User,
    settings: Settings,
    report: Report,
) -> None:
    """With the default serializer of a cache in Redis."""
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{profile}"
    sessions = {"BACKEND": backend, "LOCATION": f"{redis_url}/1"}
    settings.CACHES = {**settings.CACHES, "sessions": sessions}
    redis.flushdb()
    tries, succeeded = list(pickles(canary)), []
    for payload in tries:
        client = Client(raise_request_exception=False)
        client.post("/auth/sign-in/", {"username": "ada", "password": "cookies"})
        plant(redis, key_of(client), payload)
        client.get("/auth/account/")
        succeeded += [payload] if canary.exists() else []
        canary.unlink(missing_ok=True)
    assert succeeded
    report(f"A pickle planted in Redis, {profile}", tries, succeeded, "Django's")
