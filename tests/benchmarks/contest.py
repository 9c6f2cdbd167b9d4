"""The applications that are compared, each of which serves the same requests, and the aims."""

import statistics
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

from cookieproj.engines.benchmark.application import Application
from cookieproj.engines.benchmark.contestant import Contestant, ratio, rounds
from cookieproj.engines.benchmark.namespace import namespaced
from cookieproj.engines.benchmark.run import payload_of
from cookieproj.engines.benchmark.views import KINDS
from cookieproj.engines.constants import DJANGO_ENGINES, OUR_ENGINES
from cookieproj.engines.engine_registry import resolve_engine
from cookieproj.settings.caches import caches
from demo.benchmark_chart import TITLES

from . import peers

PAYLOAD = 200

WITHOUT = "no sessions"
PLAIN = "plain"
DJANGOS = "Django's"
DJANGOS_CACHES = "django.core.cache.backends"


@dataclass(frozen=True)
class Place:
    """Where the sessions of contestants are stored, and the engine that stores them there.

    ``database`` and ``cache`` are kinds of servers. ``options`` are added to the database's URL.
    ``backend`` replaces the backend of the cache that this site has for it. The others serve with
    other packages.
    """

    name: str
    engine: str
    database: str = "sqlite"
    cache: str = "redis"
    options: str = ""
    backend: str = ""
    others: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The contestants with sessions, in the order of turns. Ours come first."""
        return [OUR_ENGINES + self.engine, DJANGO_ENGINES + self.engine, *self.others]

    def caches(self, url: str) -> dict[str, Any]:
        """The setting CACHES for that server."""
        configured: dict[str, Any] = caches(url)
        if self.backend:
            configured["sessions"] = {"BACKEND": self.backend, "LOCATION": f"{url}/1"}
        return configured


PLACES = [
    Place("Redis", "cache", others=("Flask-Session", "starsessions", "redis-py alone")),
    Place("Redis by Django's backend", "cache", backend=f"{DJANGOS_CACHES}.redis.RedisCache"),
    Place("Valkey", "cache", cache="valkey"),
    Place("memcached", "cache", cache="memcached"),
    Place("PostgreSQL", "db", "postgresql", others=("Flask-Session, SQLAlchemy", "psycopg alone")),
    Place("PostgreSQL, prepared", "db", "postgresql", options="prepare_threshold=5"),
    Place("MariaDB", "db", "mariadb"),
    Place("SQLite", "db"),
    Place("PostgreSQL and Redis", "cached_db", "postgresql"),
    Place("files", "file", others=("Flask-Session, cachelib",)),
    Place("the cookie", "signed_cookies", others=("Flask",)),
]

# Of one place, by name.
Contestants = dict[str, Contestant]
Contest = dict[str, Contestants]


@dataclass(frozen=True)
class Servers:
    redis: str
    postgresql: str
    folder: Path


@contextmanager
def contestants_of(place: Place, servers: Servers) -> Iterator[Contestants]:
    """The contestants of that place. Django's settings have to name the same servers."""
    payload = payload_of(PAYLOAD)
    with ExitStack() as stack:

        def contestant(name: str, application: WSGIApplication, kinds: Iterable[str]) -> Contestant:
            return Contestant(name, application, payload, kinds=tuple(kinds))

        contestants = {WITHOUT: contestant(WITHOUT, Application(None), [PLAIN])}
        for name in place.names:
            if name in place.others:
                application = stack.enter_context(PEERS[name](servers))
                contestants[name] = contestant(name, application, peers.KINDS)
            else:
                store = stack.enter_context(namespaced(resolve_engine(name).session_class))
                contestants[name] = contestant(name, Application(store), KINDS)
        yield contestants


PEERS: dict[str, Callable[[Servers], AbstractContextManager[WSGIApplication]]] = {
    "Flask-Session": lambda servers: nullcontext(
        peers.flask_session_on_redis(f"{servers.redis}/5")
    ),
    "starsessions": lambda servers: peers.starsessions_on_redis(f"{servers.redis}/6"),
    "redis-py alone": lambda servers: nullcontext(peers.bare_redis(f"{servers.redis}/7")),
    "Flask-Session, SQLAlchemy": lambda servers: peers.flask_session_on_sqlalchemy(
        servers.postgresql
    ),
    "psycopg alone": lambda servers: peers.bare_psycopg(servers.postgresql),
    "Flask-Session, cachelib": lambda servers: nullcontext(
        peers.flask_session_on_files(servers.folder)
    ),
    "Flask": lambda servers: nullcontext(peers.flask_application()),
}


def serve(contestants: Contestants, requests: int) -> None:
    """Serve in turns, in both directions."""
    rounds(list(contestants.values()), requests)


def table(contest: Contest) -> Iterator[str]:
    """A Markdown table of the medians."""
    yield f"| microseconds | {' | '.join(map(str, TITLES.values()))} |"
    yield "| --- |" + " --- |" * len(TITLES)
    for place, contestants in contest.items():
        yield f"| **{place}** |" + " |" * len(TITLES)
        for contestant in contestants.values():
            cells = (
                f"{median(contestant, kind):,.0f}" if kind in contestant.kinds else ""
                for kind in TITLES
            )
            yield f"| {display_name(contestant.name)} | {' | '.join(cells)} |"


@dataclass(frozen=True)
class Aim:
    """At that place our engine takes at most ``limit`` times as long as ``other``."""

    place: Place
    kind: str
    other: str
    limit: float

    @property
    def ours(self) -> str:
        return self.place.names[0]

    def measure(self, contest: Contest) -> float:
        contestants = contest[self.place.name]
        return ratio(contestants[self.ours], contestants[self.other], self.kind)

    def __str__(self) -> str:
        name = display_name(self.other)
        return f"{TITLES[self.kind]}, {display_name(self.ours)} on {self.place.name}, of {name}"


def aims_of(name: str, to_djangos: dict[str, float], **to_others: dict[str, float]) -> list[Aim]:
    """The aims at that place: to Django's engine by kind, and to others by the kind of request."""
    place = next(place for place in PLACES if place.name == name)
    djangos = [Aim(place, kind, place.names[1], limit) for kind, limit in to_djangos.items()]
    return djangos + [
        Aim(place, kind, other, limit)
        for kind, limits in to_others.items()
        for other, limit in limits.items()
    ]


AIMS = [
    *(aim for place in PLACES for aim in aims_of(place.name, {PLAIN: 0.92}, plain={WITHOUT: 1.07})),
    *aims_of(
        "Redis",
        {"read": 0.80, "write": 0.60, "sign_in": 0.45, "sign_out": 0.88},
        read={"Flask-Session": 0.55, "starsessions": 0.60},
        write={"Flask-Session": 0.85, "starsessions": 0.95},
    ),
    *aims_of(
        "Redis by Django's backend",
        {"read": 0.80, "write": 0.60, "sign_in": 0.45, "sign_out": 0.88},
    ),
    *aims_of(
        "PostgreSQL",
        {"read": 0.36, "write": 0.42, "sign_in": 0.28, "sign_out": 0.35},
        read={"Flask-Session, SQLAlchemy": 0.20},
        write={"Flask-Session, SQLAlchemy": 0.38},
    ),
    *aims_of(
        "PostgreSQL, prepared", {"read": 0.36, "write": 0.42, "sign_in": 0.28, "sign_out": 0.35}
    ),
    *aims_of("SQLite", {"read": 0.45, "write": 0.60, "sign_in": 0.40}),
    *aims_of("MariaDB", {"read": 0.70, "write": 0.60, "sign_in": 0.45}),
    *aims_of(
        "PostgreSQL and Redis", {"read": 0.88, "write": 0.62, "sign_in": 0.32, "sign_out": 0.45}
    ),
    *aims_of(
        "files",
        {"read": 0.82, "write": 0.80, "sign_in": 0.50},
        read={"Flask-Session, cachelib": 0.25},
        write={"Flask-Session, cachelib": 0.90},
    ),
    *aims_of(
        "the cookie",
        {"read": 0.92, "write": 0.80, "sign_in": 0.80},
        read={"Flask": 0.75},
        write={"Flask": 0.70},
    ),
]


def ratios(contest: Contest) -> Iterator[str]:
    """A Markdown table: our time as a part of Django's and of the others', with the aims."""
    yield f"| ours, of the time of | {' | '.join(map(str, TITLES.values()))} |"
    yield "| --- |" + " --- |" * len(TITLES)
    limits = {(aim.place.name, aim.kind, aim.other): aim.limit for aim in AIMS}
    for place, contestants in contest.items():
        ours, *others = (c for name, c in contestants.items() if name != WITHOUT)
        for other in (*others, contestants[WITHOUT]):
            cells = (
                with_aim(ratio(ours, other, kind), limits.get((place, kind, other.name)))
                if kind in other.kinds
                else ""
                for kind in TITLES
            )
            yield f"| {place}: {display_name(other.name)} | {' | '.join(cells)} |"


def summary(contest: Contest) -> Iterator[str]:
    """A Markdown table of a line for each place: our time as a part of Django's."""
    yield f"| engine, store | {' | '.join(map(str, TITLES.values()))} |"
    yield "| --- |" + " --- |" * len(TITLES)
    for place in PLACES:
        ours, djangos = (contest[place.name][name] for name in place.names[:2])
        cells = (f"{ratio(ours, djangos, kind):.2f}" for kind in TITLES)
        yield f"| `{place.engine}`, {place.name} | {' | '.join(cells)} |"


def with_aim(measured: float, limit: float | None) -> str:
    """The ratio; a missed one with its aim."""
    is_missed = limit is not None and measured > limit
    return f"{measured:.2f} (aim {limit:.2f})" if is_missed else f"{measured:.2f}"


def display_name(name: str) -> str:
    if name.startswith(DJANGO_ENGINES):
        return f"{DJANGOS} `{name.removeprefix(DJANGO_ENGINES)}`"
    return f"`{name.removeprefix(OUR_ENGINES)}`" if name.startswith(OUR_ENGINES) else name


def median(contestant: Contestant, kind: str) -> float:
    """Microseconds."""
    return statistics.median(contestant.times(kind)) * 1e6
