"""The whole site under load: gunicorn with two workers, PostgreSQL and Redis, wrk before it."""

import statistics
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from cookieproj.engines.constants import DJANGO_ENGINES, ENGINE_NAMES, OUR_ENGINES
from tests import servers
from tests.sites import in_production

from .machine import machine

SCRIPT = Path(__file__).with_name("load.lua")

# So many requests are under way at a time, for so long; each engine has so many turns.
CONNECTIONS = 8
SECONDS = 4
TURNS = 2

SESSIONS = 64
TOKEN = "a" * 32


@dataclass(frozen=True)
class Served:
    per_second: float
    p99: float  # milliseconds
    failed: int


def begin(site: str) -> Iterator[str]:
    """The session cookies of visitors who have each written something."""
    headers = {
        "X-Forwarded-Proto": "https",
        "X-CSRFToken": TOKEN,
        "Referer": site.replace("http:", "https:") + "/",
        "Cookie": f"__Host-csrftoken={TOKEN}",
    }
    for _ in range(SESSIONS):
        response = requests.post(
            f"{site}/sessions/set-item/",
            {"key": "color", "value": "blue"},
            headers=headers,
            timeout=10,
        )
        assert response.status_code == 200, response.text
        yield response.cookies["__Host-sessionid"]


def load(site: str, kind: str, cookies: Path) -> Served:
    command = [
        *(servers.found("wrk", "the system's package wrk"), "--threads", "1"),
        *("--connections", str(CONNECTIONS), "--duration", f"{SECONDS}s"),
        *("--script", str(SCRIPT), site, "--", kind, str(cookies)),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    counted = ran.stdout.splitlines()[-1].split()
    assert counted[0] == "counted", ran.stdout
    number, seconds, p99, failed = map(float, counted[1:])
    return Served(number / seconds, p99, int(failed))


def test_the_whole_site_under_load(
    stores: dict[str, str], tmp_path: Path, figures: Callable[..., None]
) -> None:
    served: dict[tuple[str, str], list[Served]] = {}
    for name in ENGINE_NAMES:
        for engine in (OUR_ENGINES + name, DJANGO_ENGINES + name) * TURNS:
            environment = stores | {"SESSION_PROFILE": name, "SESSION_ENGINE": engine}
            with in_production(**environment) as host:
                site = f"http://{host}"
                cookies = tmp_path / "cookies"
                cookies.write_text("".join(f"{cookie}\n" for cookie in begin(site)))
                for kind in ("read", "write"):
                    served.setdefault((engine, kind), []).append(load(site, kind, cookies))
    figures("load", table(served))
    assert {turn.failed for turns in served.values() for turn in turns} == {0}


def table(served: dict[tuple[str, str], list[Served]]) -> Iterator[str]:
    """Ours / Django's; of the turns of each the mean."""
    yield "| ours / Django's | reads a second | p99, ms | writes a second | p99, ms |"
    yield "| --- |" + " --- |" * 4
    for name in ENGINE_NAMES:
        cells = [
            " / ".join(
                f"{mean(served[family + name, kind], of):,.0f}"
                for family in (OUR_ENGINES, DJANGO_ENGINES)
            )
            for kind in ("read", "write")
            for of in ("per_second", "p99")
        ]
        yield f"| `{name}` | {' | '.join(cells)} |"
    yield ""
    requests = sum(turn.per_second * SECONDS for turns in served.values() for turn in turns)
    yield f"About {requests:,.0f} requests, none of them failed. {machine()}."


def mean(turns: list[Served], of: str) -> float:
    return statistics.mean(float(getattr(turn, of)) for turn in turns)
