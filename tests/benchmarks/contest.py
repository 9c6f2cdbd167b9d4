"""Who serves the same requests, side by side, and what is to be reached."""

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
from cookieproj.engines.constants import DJANGO_ENGINES, ENGINE_NAMES, OUR_ENGINES
from cookieproj.engines.engine_registry import resolve_engine
from demo.benchmark_chart import TITLES

from . import peers

PAYLOAD = 200

WITHOUT = "no sessions"
PLAIN = "plain"

# By where the sessions are, in the order in which they are served and shown; ours first.
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
    """All of them by name, on stores that Django's settings must have too."""
    payload = payload_of(PAYLOAD)
    with ExitStack() as stack:

        def add_contestant(name: str, application: WSGIApplication, kinds: tuple[str, ...]) -> None:
            contestants[name] = Contestant(name, application, payload, kinds=kinds)

        contestants: Contest = {}
        for path in (
            family + name for name in ENGINE_NAMES for family in (OUR_ENGINES, DJANGO_ENGINES)
        ):
            store = stack.enter_context(namespaced(resolve_engine(path).session_class))
            add_contestant(path, Application(store), tuple(KINDS))
        flask_sqlalchemy = stack.enter_context(peers.flask_session_on_sqlalchemy(postgresql_url))
        starsessions = stack.enter_context(peers.starsessions_on_redis(f"{redis_url}/6"))
        psycopg = stack.enter_context(peers.bare_psycopg(postgresql_url))
        others: dict[str, WSGIApplication] = {
            "Flask-Session": peers.flask_session_on_redis(f"{redis_url}/5"),
            "starsessions": starsessions,
            "redis-py alone": peers.bare_redis(f"{redis_url}/7"),
            "Flask-Session, SQLAlchemy": flask_sqlalchemy,
            "psycopg alone": psycopg,
            "Flask-Session, cachelib": peers.flask_session_on_files(folder),
            "Flask": peers.flask_application(),
        }
        for name, application in others.items():
            add_contestant(name, application, peers.KINDS)
        for place in ORDER:
            add_contestant(beside(place), Application(None), (PLAIN,))
        yield contestants


def beside(place: str) -> str:
    """What has no sessions, but its turn where the engines of that place have theirs."""
    return f"{WITHOUT}, {place}"


def serve(contestants: Contest, requests: int) -> None:
    """Turn by turn, those beside each other that are compared."""
    order = [name for place, names in ORDER.items() for name in (beside(place), *names)]
    rounds([contestants[name] for name in order], requests)


def table(contestants: Contest) -> Iterator[str]:
    """The medians, a line of Markdown each."""
    yield f"| microseconds | {' | '.join(map(str, TITLES.values()))} |"
    yield "| --- |" + " --- |" * len(TITLES)
    yield row(f"_{WITHOUT}_", contestants[beside("Redis")])
    for where, names in ORDER.items():
        yield f"| **{where}** |" + " |" * len(TITLES)
        for name in names:
            yield row(shown(name), contestants[name])


def row(name: str, contestant: Contestant) -> str:
    cells = (
        f"{median(contestant, kind):,.0f}" if kind in contestant.kinds else "" for kind in TITLES
    )
    return f"| {name} | {' | '.join(cells)} |"


def aims(contestants: Contest) -> Iterator[str]:
    yield "| request | against | at most | is |"
    yield "| --- | --- | --- | --- |"
    for aim in AIMS:
        yield f"| {aim.what} | {aim.against} | {aim.limit:.2f} | {aim.reached(contestants):.2f} |"


def reasons() -> Iterator[str]:
    """Why some aims are out of reach."""
    by_reason: dict[str, list[str]] = {}
    for aim in AIMS:
        if aim.why:
            by_reason.setdefault(aim.why, []).append(f"{aim.what} against {aim.against}")
    for why, those in by_reason.items():
        yield f"- {'; '.join(those)}: {why}."


def beyond_reach(contestants: Contest) -> dict[tuple[Contestant, str], None]:
    """Who is compared, and by which kind of request, in the aims that are not reached."""
    return dict.fromkeys(
        (contestants[name], aim.kind) for aim in AIMS if aim.why for name in (aim.who, aim.than)
    )


@dataclass(frozen=True)
class Aim:
    """To take at most so many times what another takes; ``why`` says why it does not hold."""

    kind: str
    who: str
    than: str
    limit: float
    why: str = ""

    def reached(self, contestants: Contest) -> float:
        return ratio(contestants[self.who], contestants[self.than], self.kind)

    @property
    def what(self) -> str:
        return f"{TITLES[self.kind]}, {shown(self.who)}"

    @property
    def against(self) -> str:
        return WITHOUT if self.kind == PLAIN else shown(self.than)


class ReadAim(Aim):
    """Against what ``than`` takes and the request without any session, together."""

    def reached(self, contestants: Contest) -> float:
        turns = zip(
            contestants[self.who].turns[self.kind],
            contestants[self.than].turns[self.kind],
            contestants[beside("Redis")].turns[PLAIN],
            strict=True,
        )
        return statistics.median(
            statistics.median(ours) / (statistics.median(bare) + statistics.median(without))
            for ours, bare, without in turns
        )

    @property
    def against(self) -> str:
        return f"a GET by {self.than} + {WITHOUT}"


TWO_OF_THREE = (
    "the request and its two trips alone take 0.6 of all that Django's takes, which leaves next to "
    "nothing for the session, its JSON and its cookie"
)
TWO_OF_TWO = "the request and its two trips alone take 0.85 of all that theirs takes"
FOUR_TRIPS = (
    "four trips where Django makes six on Redis and ten on PostgreSQL. With one trip less the old "
    "key would end together with another step, and an answer that gets lost would take the session "
    "from its browser"
)
COMMITS = (
    "the request and its trips alone take 0.4 of all that the other's takes. A quarter of ours is "
    "Django's connection and the engine, an eighth is signatures: both would have to be halved"
)
FILES = (
    "ours signs what it stores, which is a fifth of its time, and reads the file again, with a "
    "lock, before it is replaced; theirs does neither"
)
SIGNS = (
    "the request alone takes 0.4 of all that Flask's takes; signing takes two thirds of what "
    "Flask's does, Django's way to a cookie (expiry, Vary, attributes) more"
)
AFTER_THE_TRIP = (
    "the same code of a request takes nearly twice as long with a trip in its midst as without "
    "one: meanwhile the processor's caches forget it. The aim counts it without"
)

NOTHING_ELSE = (
    "five microseconds of a request that takes fifty and does nothing else, give or take what the "
    "turn before it leaves in the processor's caches"
)

AIMS = [
    Aim("write", f"{OUR_ENGINES}cache", f"{DJANGO_ENGINES}cache", 0.65, TWO_OF_THREE),
    Aim("write", f"{OUR_ENGINES}cache", "Flask-Session", 0.85, TWO_OF_TWO),
    Aim("write", f"{OUR_ENGINES}db", f"{DJANGO_ENGINES}db", 0.60, COMMITS),
    Aim("write", f"{OUR_ENGINES}db", "Flask-Session, SQLAlchemy", 0.50, COMMITS),
    Aim("write", f"{OUR_ENGINES}file", "Flask-Session, cachelib", 0.85, FILES),
    Aim("write", f"{OUR_ENGINES}signed_cookies", "Flask", 0.85, SIGNS),
    Aim("sign_in", f"{OUR_ENGINES}cache", f"{DJANGO_ENGINES}cache", 0.45, FOUR_TRIPS),
    Aim("sign_in", f"{OUR_ENGINES}db", f"{DJANGO_ENGINES}db", 0.45, FOUR_TRIPS),
    *(Aim(PLAIN, names[0], beside(place), 1.10, NOTHING_ELSE) for place, names in ORDER.items()),
    ReadAim("read", f"{OUR_ENGINES}cache", "redis-py alone", 1.25, AFTER_THE_TRIP),
]


def shown(name: str) -> str:
    if name.startswith(DJANGO_ENGINES):
        return f"Django's `{name.removeprefix(DJANGO_ENGINES)}`"
    return f"`{name.removeprefix(OUR_ENGINES)}`" if name.startswith(OUR_ENGINES) else name


def median(contestant: Contestant, kind: str) -> float:
    """Microseconds."""
    return statistics.median(contestant.times(kind)) * 1e6


def writes(contestants: Contest) -> Iterator[tuple[str, dict[str, float]]]:
    """By place, what a write costs whoever keeps sessions there."""
    for place, names in ORDER.items():
        yield place, {name: median(contestants[name], "write") for name in names}
