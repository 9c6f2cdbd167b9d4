"""What a benchmark found, and where the last one is kept."""

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .views import KINDS


@dataclass(frozen=True)
class Cost:
    """Of one kind of request: microseconds, and trips to the store.

    The ``median`` and the ``p95``, below which 95 of 100 stay, are None where nothing was
    timed, ``trips`` where they cannot be known. ``ratio`` is to the same request on Django's
    engine, from pairs of turns; None where that was not beside it.
    """

    median: float | None
    p95: float | None
    trips: int | None
    ratio: float | None = None


@dataclass(frozen=True)
class Measured:
    """An engine on its store. The requests are by kind; none where there is a ``problem``."""

    engine: str
    stored_bytes: int | None = None
    cookie_bytes: int = 0
    requests: dict[str, Cost] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class Benchmark:
    """``requests`` of each kind by each of ``visitors`` at a time; ``made`` is an ISO 8601 time.

    ``without`` is what a request costs that has no sessions at all, ``payload`` how many bytes
    a session holds as JSON.
    """

    made: str
    machine: str
    cores: int
    debug: bool
    requests: int
    visitors: int
    payload: int
    without: Cost
    engines: list[Measured]

    @property
    def where(self) -> str:
        """What it was measured on."""
        cores = ngettext("%(number)d core", "%(number)d cores", self.cores) % {"number": self.cores}
        told = [cores, self.machine, *([_("DEBUG on")] if self.debug else [])]
        return ", ".join(told)

    def of(self, engine: str) -> Measured | None:
        """What was found of that engine, by its path; None if it was not measured."""
        return next((each for each in self.engines if each.engine == engine), None)


def cores() -> int:
    return os.cpu_count() or 1


def machine() -> str:
    return (
        f"{platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, Django {django.get_version()}"
    )


def as_json(made: Benchmark) -> str:
    return json.dumps(asdict(made), indent=2)


def keep(made: Benchmark) -> None:
    """For ``last``, in the file that SESSION_BENCHMARK_FILE names; nowhere without it.

    Raises OSError where that cannot be written.
    """
    if path := kept_in():
        written = path.with_suffix(".new")
        written.write_text(as_json(made))
        written.replace(path)


def kept_in() -> Path | None:
    name = getattr(settings, "SESSION_BENCHMARK_FILE", None)
    return Path(name) if name else None


def last() -> Benchmark | None:
    """None where nothing was measured yet, or what is there is no benchmark of this version."""
    path = kept_in()
    try:
        told = json.loads(path.read_text()) if path else {}
        engines = [measured(each) for each in told["engines"]]
        return Benchmark(**{**told, "without": Cost(**told["without"]), "engines": engines})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def measured(told: dict[str, Any]) -> Measured:
    """Raises KeyError or TypeError for what ``keep`` has not written."""
    requests = told["requests"] and {kind: Cost(**told["requests"][kind]) for kind in KINDS}
    return Measured(**{**told, "requests": requests})
