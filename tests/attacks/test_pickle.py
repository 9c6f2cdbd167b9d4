"""Somebody who can write to Redis plants a pickle there, which would run code when opened."""

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

from .conftest import Judged, Send, Some


class Canary:
    """Opening it makes a file."""

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
    """As whoever can write there has it, past any cache: the database of the sessions."""
    with Redis.from_url(f"{redis_url}/1") as client:
        client.flushdb()
        yield client


def plant(redis: Redis, session_key: str, payload: bytes) -> None:
    names: Any = redis.keys(f"*{session_key}")
    [name] = names
    redis.set(name, payload)


def opened_by(client: Client, admin: Client) -> Iterator[object]:
    """Each that looks at the session: its own browser, the admin, the commands."""
    yield client.get("/auth/account/")
    yield client.get("/session/?whole")
    yield admin.get("/devices/")
    yield admin.get("/admin/cookieproj_engines/")
    listed = admin.get("/admin/cookieproj_engines/storedsession/")
    yield listed
    for row in re.findall(r'href="([^"]+/storedsession/[^"]+/change/)"', listed.content.decode()):
        yield admin.get(row)
    yield call_command("clearsessions", dry_run=True, stdout=StringIO())
    yield client.post("/sessions/set-item/")
    yield client.post("/auth/sign-in/", {"username": "ada", "password": "cookies"})
    yield client.post("/auth/sign-out/")


@on("cache", "cached_db")
def test_it_is_never_opened(
    profile: str,
    redis: Redis,
    canary: Path,
    admin: User,
    ada: User,
    settings: Settings,
    some: Some,
    judged: Judged,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.DEBUG = True
    administrators = browser(admin)
    tries, lost = some(pickles(canary), 11), []
    for payload in tries:
        client = browser(ada)
        key = key_of(client)
        plant(redis, key, payload)
        caplog.clear()
        for answer in opened_by(client, administrators):
            failed = isinstance(answer, HttpResponse) and answer.status_code >= 500
            lost += [payload] if canary.exists() or failed else []
        assert "Session data corrupted" in caplog.text
        redis.delete(*redis.keys(f"*{key}"))
    judged(f"A pickle planted in Redis, {profile}", tries, lost)


@on("cache", "cached_db")
def test_the_session_is_empty_or_that_of_its_row(
    profile: str, redis: Redis, canary: Path, ada: User, send: Send, judged: Judged
) -> None:
    tries, lost = list(pickles(canary)), []
    for payload in tries:
        client = browser(ada)
        client.post("/sessions/set-item/")
        plant(redis, key_of(client), payload)
        page = send("/sessions/get-item/", f"sessionid={key_of(client)}").content
        holds = b"no color" if profile == "cache" else b"is blue"
        assert holds in page
        lost += [payload] if canary.exists() else []
    judged(f"A pickle planted in Redis, {profile}", tries, lost)


@on("cache", "cached_db")
@pytest.mark.parametrize(
    "backend", ["django.core.cache.backends.redis.RedisCache", "django_redis.cache.RedisCache"]
)
def test_django_opens_it_as_it_comes(
    backend: str,
    profile: str,
    redis: Redis,
    redis_url: str,
    canary: Path,
    ada: User,
    settings: Settings,
    judged: Judged,
) -> None:
    """With the serializer that a cache in Redis has if nobody names one."""
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{profile}"
    sessions = {"BACKEND": backend, "LOCATION": f"{redis_url}/1"}
    settings.CACHES = {**settings.CACHES, "sessions": sessions}
    redis.flushdb()
    tries, lost = list(pickles(canary)), []
    for payload in tries:
        client = Client(raise_request_exception=False)
        client.post("/auth/sign-in/", {"username": "ada", "password": "cookies"})
        plant(redis, key_of(client), payload)
        client.get("/auth/account/")
        lost += [payload] if canary.exists() else []
        canary.unlink(missing_ok=True)
    assert lost
    judged(f"A pickle planted in Redis, {profile}", tries, lost, "Django's")
