"""The whole site under load by wrk: gunicorn with two workers, PostgreSQL and Redis."""

import statistics
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from cookieproj.engines.constants import DJANGO_ENGINE_NAMES, DJANGO_ENGINES, OUR_ENGINES
from tests import servers
from tests.sites import in_production

from .machine import machine

SCRIPT = Path(__file__).with_name("load.lua")

# Concurrent requests, the duration of a turn, and the turns of each engine.
CONNECTIONS = 8
SECONDS = 4
TURNS = 2

SESSIONS = 64
TOKEN = "a" * 32


@dataclass(frozen=True)
class Turn:
    per_second: float
    p99: float  # milliseconds
    failed: int


def create_sessions(site: str) -> Iterator[str]:
    """Create sessions, and return their cookies."""
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


def load(site: str, kind: str, cookies: Path) -> Turn:
    command = [
        *(servers.found("wrk", "the system's package wrk"), "--threads", "1"),
        *("--connections", str(CONNECTIONS), "--duration", f"{SECONDS}s"),
        *("--script", str(SCRIPT), site, "--", kind, str(cookies)),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    counts = result.stdout.splitlines()[-1].split()
    assert counts[0] == "counted", result.stdout
    number, seconds, p99, failed = map(float, counts[1:])
    return Turn(number / seconds, p99, int(failed))


def test_no_request_fails_under_load(
    stores: dict[str, str], tmp_path: Path, figures: Callable[..., None]
) -> None:
    results: dict[tuple[str, str], list[Turn]] = {}
    for name in DJANGO_ENGINE_NAMES:
        for engine in (OUR_ENGINES + name, DJANGO_ENGINES + name) * TURNS:
            environment = stores | {"SESSION_PROFILE": name, "SESSION_ENGINE": engine}
            with in_production(**environment) as host:
                site = f"http://{host}"
                cookies = tmp_path / "cookies"
                cookies.write_text("".join(f"{cookie}\n" for cookie in create_sessions(site)))
                for kind in ("read", "write"):
                    results.setdefault((engine, kind), []).append(load(site, kind, cookies))
    figures("load", table(results))
    assert {turn.failed for turns in results.values() for turn in turns} == {0}


def table(results: dict[tuple[str, str], list[Turn]]) -> Iterator[str]:
    """A Markdown table: the means of our engines and of Django's."""
    yield "| ours / Django's | reads a second | p99, ms | writes a second | p99, ms |"
    yield "| --- |" + " --- |" * 4
    for name in DJANGO_ENGINE_NAMES:
        cells = [
            " / ".join(
                f"{mean(results[family + name, kind], field):,.0f}"
                for family in (OUR_ENGINES, DJANGO_ENGINES)
            )
            for kind in ("read", "write")
            for field in ("per_second", "p99")
        ]
        yield f"| `{name}` | {' | '.join(cells)} |"
    yield ""
    requests = sum(turn.per_second * SECONDS for turns in results.values() for turn in turns)
    yield f"About {requests:,.0f} requests, none of them failed. {machine()}."


def mean(turns: list[Turn], field: str) -> float:
    return statistics.mean(float(getattr(turn, field)) for turn in turns)
