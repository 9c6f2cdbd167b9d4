"""How often a request goes to the store: statements, BEGIN and COMMIT among them, and commands."""

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
from cookieproj.engines.middleware import SessionMiddleware as Handover
from cookieproj.engines.round_trips import count_round_trips as counted
from demo.models import User
from tests.clusters import Cluster

from .contract import ALL, NONE, Engine, kept, on_engines

pytestmark = on_engines(
    lambda engine: (
        (engine.database, engine.cache) in {("postgresql", ""), ("postgresql", "redis")}
        or (engine.name == "cache" and engine.on_redis)
    )
)

# The database in Redis that CACHE_URL's next one is. A Redis Cluster has one database.
SESSIONS, OF_CLUSTER = 1, 0

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
    # What Django and this site write down of it elsewhere is not the session's business.
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
    """What went to PostgreSQL and to Redis, and what scripts did inside Redis."""

    def __init__(self) -> None:
        self.inside: list[str] = []

    def __str__(self) -> str:
        return f"{len(self)} trips ({' '.join(trip.split()[0] for trip in self)})"


@pytest.fixture
def servers(engine: Engine, redis_url: str, request: pytest.FixtureRequest) -> list[str]:
    """The servers of the engine's cache, by their databases."""
    if engine.cache == "cluster":
        cluster: Cluster = request.getfixturevalue("cluster")
        return [f"{node.url}/{OF_CLUSTER}" for node in cluster.nodes]
    url = request.getfixturevalue(f"{engine.cache}_url") if engine.cache else redis_url
    return [f"redis://{urlsplit(url).netloc}/{SESSIONS}"]


@contextmanager
def count_round_trips(servers: list[str]) -> Iterator[RoundTrips]:
    """They are known once the block has ended."""
    trips = RoundTrips()
    with ExitStack() as monitors:
        monitored = [monitors.enter_context(commands_of(server, trips)) for server in servers]
        with CaptureQueriesContext(connection) as statements:
            yield trips
        for read_commands in monitored:
            read_commands()
    trips.extend(statement["sql"] for statement in statements)


@contextmanager
def commands_of(server: str, trips: RoundTrips) -> Iterator[Callable[[], None]]:
    """A function that adds what the server is sent until it is called."""
    with Redis.from_url(server) as client, Redis.from_url(server) as other:
        # Connected now, so that its greeting is not among them.
        other.ping()
        with client.monitor() as monitor:

            def read_commands() -> None:
                other.echo("over")
                while (command := monitor.next_command())["command"] != "ECHO over":
                    # Sentinel, if it watches this Redis, asks after it in another database.
                    if f"/{command['db']}" == urlsplit(server).path:
                        scripted = command["client_type"] == "lua"
                        (trips.inside if scripted else trips).append(command["command"])

            yield read_commands


def trips_of(
    engine: Engine, view: Callable[[HttpRequest], HttpResponse], servers: list[str]
) -> RoundTrips:
    """Those of a request by somebody with a session, on connections that are open already."""
    if engine.cache == "cluster":
        caches["sessions"].client.get_client().ping()  # type: ignore[attr-defined]
    session = engine.Store()
    session["a"] = 1
    session.save()
    request = RequestFactory().get("/")
    request.COOKIES[settings.SESSION_COOKIE_NAME] = session.session_key
    middleware: Any = SessionMiddleware(view)
    with count_round_trips(servers) as trips, counted() as own:
        response = middleware(request)
    assert response.status_code == 200
    # What pages and benchmarks show is what the servers saw.
    assert not engine.ours or own.number == len(trips), trips
    return trips


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
def test_a_request_makes_no_more_trips_than_it_must(
    engine: Engine,
    servers: list[str],
    view: Callable[[HttpRequest], HttpResponse],
    limit: int,
    limit_of_cached_db: int,
    broken_by: frozenset[str],
) -> None:
    trips = trips_of(engine, view, servers)
    allowed = limit_of_cached_db if engine.name == CACHED_DB else limit
    kept(engine, len(trips) <= allowed, f"{trips} where {allowed} do", broken_by)


def test_a_request_that_changes_nothing_writes_no_payload(
    engine: Engine, servers: list[str], settings: Settings
) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True
    trips = trips_of(engine, read, servers)
    allowed = 4 if engine.name == CACHED_DB else 2
    writes = [
        trip
        for trip in (*trips, *trips.inside)
        if trip.startswith("SET") or '"session_data" =' in trip.partition("WHERE")[0]
    ]
    promise = len(trips) <= allowed and not writes
    kept(engine, promise, f"{trips} where {allowed} do", ALL)


@on_engines(lambda engine: engine.ours)
@pytest.mark.parametrize(
    ("view", "limit", "limit_of_cached_db"), [(plain, 0, 0), (read, 1, 1), (write, 2, 4)]
)
def test_a_session_that_was_moved_here_costs_what_others_cost(
    engine: Engine,
    servers: list[str],
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
    with count_round_trips(servers) as trips:
        Handover(read)(request)
    # Looked for, not found, and put there; cached_db has its copy too.
    assert len(trips) <= (4 if engine.name == CACHED_DB else 2), trips
    with count_round_trips(servers) as trips:
        Handover(view)(request)
    assert len(trips) <= (limit_of_cached_db if engine.name == CACHED_DB else limit), trips
