"""The results of a benchmark, and the file that keeps the last one."""

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
    """The cost of one kind of request: microseconds, and round trips to the store.

    ``median`` and ``p95``, the 95th percentile, are None if nothing was timed. ``trips`` is None
    if the engine's round trips cannot be counted. ``ratio`` is the time divided by that of
    Django's engine, from pairs of turns; None if Django's engine was not measured as well.
    """

    median: float | None
    p95: float | None
    trips: int | None
    ratio: float | None = None


@dataclass(frozen=True)
class EngineResult:
    """One engine's costs by kind of request; none if there is a ``problem``.

    ``engine`` is its dotted path. ``stored_bytes`` is None for an engine that cannot tell.
    """

    engine: str
    stored_bytes: int | None = None
    cookie_bytes: int = 0
    requests: dict[str, Cost] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class Benchmark:
    """The results of all engines, and how they were measured.

    ``made`` is the time, in ISO 8601. Each of ``visitors`` at the same time sent ``requests`` of
    each kind. ``payload`` is the size of a session in bytes of JSON. ``without`` is the cost of a
    request without SessionMiddleware.
    """

    made: str
    machine: str
    cores: int
    debug: bool
    requests: int
    visitors: int
    payload: int
    without: Cost
    engines: list[EngineResult]

    @property
    def where(self) -> str:
        """The machine it was measured on, as shown to people."""
        cores = ngettext("%(number)d core", "%(number)d cores", self.cores) % {"number": self.cores}
        parts = [cores, self.machine, *([_("DEBUG on")] if self.debug else [])]
        return ", ".join(parts)

    def of(self, engine: str) -> EngineResult | None:
        """Return the result of the engine with that path; None if it was not measured."""
        return next((result for result in self.engines if result.engine == engine), None)


def cores() -> int:
    return os.cpu_count() or 1


def machine() -> str:
    return (
        f"{platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, Django {django.get_version()}"
    )


def as_json(results: Benchmark) -> str:
    return json.dumps(asdict(results), indent=2)


def keep(results: Benchmark) -> None:
    """Write the results to the file that SESSION_BENCHMARK_FILE names, if it is set.

    Raises OSError if the file cannot be written.
    """
    if path := results_path():
        new_file = path.with_suffix(".new")
        new_file.write_text(as_json(results))
        new_file.replace(path)


def results_path() -> Path | None:
    name = getattr(settings, "SESSION_BENCHMARK_FILE", None)
    return Path(name) if name else None


def last() -> Benchmark | None:
    """Return the results that were kept last.

    None if there are none, or if the file is not in the format of this version.
    """
    path = results_path()
    try:
        fields = json.loads(path.read_text()) if path else {}
        engines = [engine_result(engine) for engine in fields["engines"]]
        return Benchmark(**{**fields, "without": Cost(**fields["without"]), "engines": engines})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def engine_result(fields: dict[str, Any]) -> EngineResult:
    """Return a result from its JSON. Raises KeyError or TypeError for another format."""
    requests = fields["requests"] and {kind: Cost(**fields["requests"][kind]) for kind in KINDS}
    return EngineResult(**{**fields, "requests": requests})
