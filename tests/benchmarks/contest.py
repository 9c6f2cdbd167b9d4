"""The applications that are compared, each of which serves the same requests, and the aims."""

import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from wsgiref.types import WSGIApplication

from cookieproj.engines.benchmark.application import Application
from cookieproj.engines.benchmark.contestant import Contestant, ratio, rounds
from cookieproj.engines.benchmark.namespace import namespaced
from cookieproj.engines.benchmark.run import payload_of
from cookieproj.engines.benchmark.views import KINDS
from cookieproj.engines.constants import DJANGO_ENGINE_NAMES, DJANGO_ENGINES, OUR_ENGINES
from cookieproj.engines.engine_registry import resolve_engine
from demo.benchmark_chart import TITLES

from . import peers

PAYLOAD = 200

WITHOUT = "no sessions"
PLAIN = "plain"

# By where the sessions are stored, in the order of turns and of the table. Ours come first.
ORDER = {
    "Redis": [
        f"{OUR_ENGINES}cache",
        f"{DJANGO_ENGINES}cache",
        "Flask-Session",
        "starsessions",
        "redis-py alone",
    ],
    "PostgreSQL": [
        f"{OUR_ENGINES}db",
        f"{DJANGO_ENGINES}db",
        "Flask-Session, SQLAlchemy",
        "psycopg alone",
    ],
    "PostgreSQL and Redis": [f"{OUR_ENGINES}cached_db", f"{DJANGO_ENGINES}cached_db"],
    "files": [f"{OUR_ENGINES}file", f"{DJANGO_ENGINES}file", "Flask-Session, cachelib"],
    "the cookie": [f"{OUR_ENGINES}signed_cookies", f"{DJANGO_ENGINES}signed_cookies", "Flask"],
}

Contest = dict[str, Contestant]


@contextmanager
def contest(redis_url: str, postgresql_url: str, folder: Path) -> Iterator[Contest]:
    """All contestants by name. Django's settings have to name the same servers and folder."""
    payload = payload_of(PAYLOAD)
    with ExitStack() as stack:

        def add_contestant(name: str, application: WSGIApplication, kinds: tuple[str, ...]) -> None:
            contestants[name] = Contestant(name, application, payload, kinds=kinds)

        contestants: Contest = {}
        for path in (
            family + name
            for name in DJANGO_ENGINE_NAMES
            for family in (OUR_ENGINES, DJANGO_ENGINES)
        ):
            store = stack.enter_context(namespaced(resolve_engine(path).session_class))
            add_contestant(path, Application(store), tuple(KINDS))
        flask_sqlalchemy = stack.enter_context(peers.flask_session_on_sqlalchemy(postgresql_url))
        starsessions = stack.enter_context(peers.starsessions_on_redis(f"{redis_url}/6"))
        psycopg = stack.enter_context(peers.bare_psycopg(postgresql_url))
        peer_applications: dict[str, WSGIApplication] = {
            "Flask-Session": peers.flask_session_on_redis(f"{redis_url}/5"),
            "starsessions": starsessions,
            "redis-py alone": peers.bare_redis(f"{redis_url}/7"),
            "Flask-Session, SQLAlchemy": flask_sqlalchemy,
            "psycopg alone": psycopg,
            "Flask-Session, cachelib": peers.flask_session_on_files(folder),
            "Flask": peers.flask_application(),
        }
        for name, application in peer_applications.items():
            add_contestant(name, application, peers.KINDS)
        for place in ORDER:
            add_contestant(baseline_of(place), Application(None), (PLAIN,))
        yield contestants


def baseline_of(place: str) -> str:
    """The contestant without sessions whose turns are next to those of that place."""
    return f"{WITHOUT}, {place}"


def serve(contestants: Contest, requests: int) -> None:
    """Serve in turns. Contestants that are compared have adjacent turns."""
    order = [name for place, names in ORDER.items() for name in (baseline_of(place), *names)]
    rounds([contestants[name] for name in order], requests)


def table(contestants: Contest) -> Iterator[str]:
    """A Markdown table of the medians."""
    yield f"| microseconds | {' | '.join(map(str, TITLES.values()))} |"
    yield "| --- |" + " --- |" * len(TITLES)
    yield row(f"_{WITHOUT}_", contestants[baseline_of("Redis")])
    for place, names in ORDER.items():
        yield f"| **{place}** |" + " |" * len(TITLES)
        for name in names:
            yield row(display_name(name), contestants[name])


def row(name: str, contestant: Contestant) -> str:
    cells = (
        f"{median(contestant, kind):,.0f}" if kind in contestant.kinds else "" for kind in TITLES
    )
    return f"| {name} | {' | '.join(cells)} |"


def aims(contestants: Contest) -> Iterator[str]:
    yield "| request | against | at most | is |"
    yield "| --- | --- | --- | --- |"
    for aim in AIMS:
        measured = aim.measure(contestants)
        yield f"| {aim.subject} | {aim.reference} | {aim.limit:.2f} | {measured:.2f} |"


def reasons() -> Iterator[str]:
    """The reasons of the missed aims, as Markdown."""
    by_reason: dict[str, list[str]] = {}
    for aim in AIMS:
        if aim.missed_because:
            comparison = f"{aim.subject} against {aim.reference}"
            by_reason.setdefault(aim.missed_because, []).append(comparison)
    for reason, comparisons in by_reason.items():
        yield f"- {'; '.join(comparisons)}: {reason}."


def compared_in_missed_aims(contestants: Contest) -> dict[tuple[Contestant, str], None]:
    """The contestants and kinds of request of the missed aims."""
    return dict.fromkeys(
        (contestants[name], aim.kind)
        for aim in AIMS
        if aim.missed_because
        for name in (aim.ours, aim.other)
    )


@dataclass(frozen=True)
class Aim:
    """``ours`` takes at most ``limit`` times as long as ``other``."""

    kind: str
    ours: str
    other: str
    limit: float
    missed_because: str = ""

    def measure(self, contestants: Contest) -> float:
        return ratio(contestants[self.ours], contestants[self.other], self.kind)

    @property
    def subject(self) -> str:
        return f"{TITLES[self.kind]}, {display_name(self.ours)}"

    @property
    def reference(self) -> str:
        return WITHOUT if self.kind == PLAIN else display_name(self.other)


class ReadAim(Aim):
    """The limit is relative to the sum of ``other`` and of a request without a session."""

    def measure(self, contestants: Contest) -> float:
        turns = zip(
            contestants[self.ours].turns[self.kind],
            contestants[self.other].turns[self.kind],
            contestants[baseline_of("Redis")].turns[PLAIN],
            strict=True,
        )
        return statistics.median(
            statistics.median(ours) / (statistics.median(bare) + statistics.median(without))
            for ours, bare, without in turns
        )

    @property
    def reference(self) -> str:
        return f"a GET by {self.other} + {WITHOUT}"


TWO_OF_THREE = (
    "the request and its two round trips alone take 0.6 of the time of Django's engine, which "
    "leaves almost nothing for the session, its JSON and its cookie"
)
TWO_OF_TWO = "the request and its two round trips alone take 0.85 of the time of Flask-Session"
FOUR_ROUND_TRIPS = (
    "four round trips, where Django makes six on Redis and ten on PostgreSQL. With three, the old "
    "key would be deleted together with another step, and a lost response would cost the browser "
    "its session"
)
COMMITS = (
    "the request and its round trips alone take 0.4 of the other's time. A quarter of our time is "
    "Django's connection and the engine, and an eighth is signatures. Both would have to be halved"
)
FILES = (
    "our engine signs the session, which is a fifth of its time, and reads the file again under a "
    "lock before it replaces it. Flask-Session does neither"
)
SIGNATURES = (
    "the request alone takes 0.4 of Flask's time. Signing takes two thirds of the time of Flask's, "
    "but Django's handling of the cookie (expiry, Vary, attributes) takes more"
)
COLD_CACHES = (
    "the code of a request takes nearly twice as long with a round trip in it as without one, "
    "because the processor's caches lose it meanwhile. The aim counts it without"
)
FEW_MICROSECONDS = (
    "five microseconds of a request that takes fifty and does nothing else. They vary with what "
    "the previous turn leaves in the processor's caches"
)

AIMS = [
    Aim("write", f"{OUR_ENGINES}cache", f"{DJANGO_ENGINES}cache", 0.65, TWO_OF_THREE),
    Aim("write", f"{OUR_ENGINES}cache", "Flask-Session", 0.85, TWO_OF_TWO),
    Aim("write", f"{OUR_ENGINES}db", f"{DJANGO_ENGINES}db", 0.60, COMMITS),
    Aim("write", f"{OUR_ENGINES}db", "Flask-Session, SQLAlchemy", 0.50, COMMITS),
    Aim("write", f"{OUR_ENGINES}file", "Flask-Session, cachelib", 0.85, FILES),
    Aim("write", f"{OUR_ENGINES}signed_cookies", "Flask", 0.85, SIGNATURES),
    Aim("sign_in", f"{OUR_ENGINES}cache", f"{DJANGO_ENGINES}cache", 0.45, FOUR_ROUND_TRIPS),
    Aim("sign_in", f"{OUR_ENGINES}db", f"{DJANGO_ENGINES}db", 0.45, FOUR_ROUND_TRIPS),
    *(
        Aim(PLAIN, names[0], baseline_of(place), 1.10, FEW_MICROSECONDS)
        for place, names in ORDER.items()
    ),
    ReadAim("read", f"{OUR_ENGINES}cache", "redis-py alone", 1.25, COLD_CACHES),
]


def display_name(name: str) -> str:
    if name.startswith(DJANGO_ENGINES):
        return f"Django's `{name.removeprefix(DJANGO_ENGINES)}`"
    return f"`{name.removeprefix(OUR_ENGINES)}`" if name.startswith(OUR_ENGINES) else name


def median(contestant: Contestant, kind: str) -> float:
    """Microseconds."""
    return statistics.median(contestant.times(kind)) * 1e6


def writes(contestants: Contest) -> Iterator[tuple[str, dict[str, float]]]:
    """The medians of a write by place."""
    for place, names in ORDER.items():
        yield place, {name: median(contestants[name], "write") for name in names}
