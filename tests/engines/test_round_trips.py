"""The number of round trips of a request: SQL statements, BEGIN and COMMIT, Redis commands."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.auth import login
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.cache import caches
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from redis import Redis

from cookieproj.engines.file import SessionStore as FileStore
from cookieproj.engines.middleware import SessionMiddleware as OurMiddleware
from cookieproj.engines.round_trips import count_round_trips as count_own_round_trips
from demo.models import User
from tests.clusters import Cluster

from .contract import ALL, NONE, Engine, kept, on_engines

SERVERS = ("postgresql", "pgbouncer", "mariadb")

pytestmark = on_engines(
    lambda engine: (
        (engine.database in SERVERS and engine.cache in {"", "redis"})
        or (engine.name == "cache" and engine.on_redis)
    )
)

# The number of the Redis database: the one after that of CACHE_URL. A cluster has only 0.
SESSIONS, CLUSTER_SESSIONS = 1, 0

DB, CACHED_DB = "db", "cached_db"


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def read(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.session["a"])


def write(request: HttpRequest) -> HttpResponse:
    request.session["b"] = 2
    return HttpResponse()


def sign_in(request: HttpRequest) -> HttpResponse:
    user = User(pk=1)
    # Without the writes of Django and of this site to other tables.
    with (
        mock.patch.object(User, "save"),
        mock.patch("cookieproj.devices.session_registry.register"),
    ):
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponse()


def sign_out(request: HttpRequest) -> HttpResponse:
    read(request)
    request.session.flush()
    return HttpResponse()


class RoundTrips(list[str]):
    """Statements sent to the database, commands to Redis, and the commands of Redis scripts."""

    def __init__(self) -> None:
        self.in_scripts: list[str] = []

    def __str__(self) -> str:
        return f"{len(self)} round trips ({' '.join(text.split()[0] for text in self)})"


@pytest.fixture
def redis_urls(engine: Engine, redis_url: str, request: pytest.FixtureRequest) -> list[str]:
    """The URLs of the sessions' database on each server of the engine's cache."""
    if engine.cache == "cluster":
        cluster: Cluster = request.getfixturevalue("cluster")
        return [f"{node.url}/{CLUSTER_SESSIONS}" for node in cluster.nodes]
    url = request.getfixturevalue(f"{engine.cache}_url") if engine.cache else redis_url
    return [f"redis://{urlsplit(url).netloc}/{SESSIONS}"]


@contextmanager
def count_round_trips(redis_urls: list[str]) -> Iterator[RoundTrips]:
    """Yield a list that is filled when the block ends."""
    round_trips = RoundTrips()
    with ExitStack() as monitors:
        monitored = [monitors.enter_context(monitor(url, round_trips)) for url in redis_urls]
        with CaptureQueriesContext(connection) as statements:
            yield round_trips
        for add_commands in monitored:
            add_commands()
    round_trips.extend(statement["sql"] for statement in statements)


@contextmanager
def monitor(url: str, round_trips: RoundTrips) -> Iterator[Callable[[], None]]:
    """Yield a function that adds the commands sent to that Redis until the call."""
    with Redis.from_url(url) as client, Redis.from_url(url) as other:
        # Connect first, so that the commands of a new connection are not counted.
        other.ping()
        with client.monitor() as commands:

            def add_commands() -> None:
                other.echo("over")
                while (command := commands.next_command())["command"] != "ECHO over":
                    # A Sentinel that monitors this Redis uses another database.
                    if f"/{command['db']}" == urlsplit(url).path:
                        is_in_script = command["client_type"] == "lua"
                        (round_trips.in_scripts if is_in_script else round_trips).append(
                            command["command"]
                        )

            yield add_commands


def round_trips_of(
    engine: Engine, view: Callable[[HttpRequest], HttpResponse], redis_urls: list[str]
) -> RoundTrips:
    """Return the round trips of a request with a session. The connections are open already."""
    if engine.cache == "cluster":
        caches["sessions"].client.get_client().ping()  # type: ignore[attr-defined]
    session = engine.Store()
    session["a"] = 1
    session.save()
    request = RequestFactory().get("/")
    request.COOKIES[settings.SESSION_COOKIE_NAME] = session.session_key
    middleware: Any = SessionMiddleware(view)
    with count_round_trips(redis_urls) as round_trips, count_own_round_trips() as own:
        response = middleware(request)
    assert response.status_code == 200
    # Our own counter, which pages and benchmarks show, agrees with the servers.
    assert not engine.ours or own.number == len(round_trips), round_trips
    return round_trips


@pytest.mark.parametrize(
    ("view", "limit", "limit_of_cached_db", "broken_by"),
    [
        (plain, 0, 0, NONE),
        (read, 1, 1, NONE),
        (write, 2, 4, ALL),
        (sign_in, 4, 7, ALL),
        (sign_out, 2, 3, frozenset({DB, CACHED_DB})),
    ],
)
def test_round_trips_of_request_are_within_limit(
    engine: Engine,
    redis_urls: list[str],
    view: Callable[[HttpRequest], HttpResponse],
    limit: int,
    limit_of_cached_db: int,
    broken_by: frozenset[str],
) -> None:
    round_trips = round_trips_of(engine, view, redis_urls)
    allowed = limit_of_cached_db if engine.name == CACHED_DB else limit
    kept(engine, len(round_trips) <= allowed, f"{round_trips}, {allowed} are enough", broken_by)


def test_unchanged_session_writes_no_payload(
    engine: Engine, redis_urls: list[str], settings: Settings
) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True
    round_trips = round_trips_of(engine, read, redis_urls)
    allowed = 4 if engine.name == CACHED_DB else 2
    writes = [
        text
        for text in (*round_trips, *round_trips.in_scripts)
        if text.startswith("SET") or re.search("session_data.? =", text.partition("WHERE")[0])
    ]
    promise = len(round_trips) <= allowed and not writes
    kept(engine, promise, f"{round_trips}, {allowed} are enough", ALL)


@on_engines(lambda engine: engine.ours)
@pytest.mark.parametrize(
    ("view", "limit", "limit_of_cached_db"), [(plain, 0, 0), (read, 1, 1), (write, 2, 4)]
)
def test_moved_session_takes_no_more_round_trips_than_others(
    engine: Engine,
    redis_urls: list[str],
    settings: Settings,
    view: Callable[[HttpRequest], HttpResponse],
    limit: int,
    limit_of_cached_db: int,
) -> None:
    settings.SESSION_HANDOVER_FROM = "file"
    session = FileStore()
    session["a"] = 1
    session.save()
    request = RequestFactory().get("/")
    request.COOKIES[settings.SESSION_COOKIE_NAME] = session.session_key or ""
    with count_round_trips(redis_urls) as round_trips:
        OurMiddleware(read)(request)
    # One to look for the session, one to insert it. cached_db also reads and writes the copy.
    assert len(round_trips) <= (4 if engine.name == CACHED_DB else 2), round_trips
    with count_round_trips(redis_urls) as round_trips:
        OurMiddleware(view)(request)
    assert len(round_trips) <= (limit_of_cached_db if engine.name == CACHED_DB else limit), (
        round_trips
    )
