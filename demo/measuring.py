"""What a request costs on each engine, on the stores that this site is set up with."""

import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from cookieproj.engines.exceptions import SessionStoreError
from cookieproj.engines.handover.homes import NAMES
from cookieproj.engines.trips import watched

Progress = Callable[[], object]


@dataclass(frozen=True)
class Cost:
    """Of one kind of request: its median time, None if it was not timed, and its trips."""

    microseconds: float | None
    trips: int


@dataclass(frozen=True)
class Measured:
    """An engine on its store. The requests are by kind; none where the store was away."""

    stored_bytes: int = 0
    cookie_bytes: int = 0
    requests: dict[str, Cost] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class Benchmark:
    made: str
    machine: str
    requests: int
    engines: dict[str, Measured]
    cores: int

    @property
    def where(self) -> str:
        """What it was measured on."""
        return ngettext(
            "%(cores)d core, %(machine)s", "%(cores)d cores, %(machine)s", self.cores
        ) % {
            "cores": self.cores,
            "machine": self.machine,
        }


def plain(request: HttpRequest) -> None:
    """Leaves the session alone."""


def read(request: HttpRequest) -> None:
    _color = request.session["color"]


def write(request: HttpRequest) -> None:
    request.session["visits"] = request.session["visits"] + 1


def sign_in(request: HttpRequest) -> None:
    """As login() treats the session."""
    request.session.cycle_key()
    request.session[SESSION_KEY] = "1"


def sign_out(request: HttpRequest) -> None:
    """As logout() does, after the session has told who it is."""
    read(request)
    request.session.flush()


KINDS = {view.__name__: view for view in (plain, read, write, sign_in, sign_out)}

# These leave another session behind than they found.
ENDS = {"sign_in", "sign_out"}


class Subject:
    """An engine with sessions of its own, all of which go in the end."""

    def __init__(self, name: str, store: Any) -> None:
        self.name = name
        self.store = store
        self.times: dict[str, list[float]] = {kind: [] for kind in KINDS}
        self.trips: dict[str, int] = {}
        self.made: set[str] = set()
        self.session = self._session()

    def _session(self) -> Any:
        session = self.store()
        session.update({"color": "blue", "visits": 0})
        session.save()
        self.made.add(session.session_key)
        return session

    def request(self, kind: str) -> None:
        """One of that kind. The first is not timed: its trips are counted, and it warms up."""
        session = self._session() if kind in ENDS else self.session
        if kind in self.trips:
            began = time.perf_counter()
            self._serve(kind, session)
            self.times[kind].append(time.perf_counter() - began)
        else:
            with watched() as trips:
                self._serve(kind, session)
            self.trips[kind] = trips.number

    def _serve(self, kind: str, session: Any) -> None:
        request = HttpRequest()
        request.COOKIES[settings.SESSION_COOKIE_NAME] = session.session_key

        def view(request: HttpRequest) -> HttpResponse:
            KINDS[kind](request)
            return HttpResponse()

        middleware = SessionMiddleware(view)
        middleware.SessionStore = self.store
        middleware(request)
        if key := request.session.session_key:
            self.made.add(key)

    def measured(self) -> Measured:
        [stored, *_copies] = self.session.locate()
        name = settings.SESSION_COOKIE_NAME
        return Measured(
            stored_bytes=len(stored.payload),
            cookie_bytes=len(f"{name}{self.session.session_key}"),
            requests={
                kind: Cost(microseconds(times), self.trips[kind])
                for kind, times in self.times.items()
            },
        )

    def clear(self) -> None:
        for key in self.made:
            self.store(key).delete()


def microseconds(times: list[float]) -> float | None:
    """The median."""
    return round(statistics.median(times) * 1e6, 1) if times else None


def benchmark(requests: int, progress: Progress = lambda: None) -> Benchmark:
    """So many timed requests of each kind on each engine, in turns, so that all share the noise.

    One more of each comes before them, so with 0 the trips are known and no times.
    ``progress`` is called after each request. Nothing is left in the stores. Raises
    StoreUnavailableError if a store goes away on the way.
    """
    with stores() as found:
        by_name = dict(measured(found, requests, progress))
        engines = {name: by_name[name] for name in found}
    made = timezone.now().isoformat(timespec="seconds")
    return Benchmark(made, machine(), requests, engines, os.cpu_count() or 1)


@cache
def counted() -> Benchmark:
    """Trips and sizes without times. They do not change, so they are counted once."""
    return benchmark(0)


def known() -> Benchmark:
    """The last benchmark; before the first one what is counted."""
    if found := last():
        return found
    made = counted()
    if any(measured.problem for measured in made.engines.values()):
        # The store may be back the next time.
        counted.cache_clear()
    return made


def measured(
    found: dict[str, Any], requests: int, progress: Progress
) -> Iterator[tuple[str, Measured]]:
    subjects: list[Subject] = []
    for name, store in found.items():
        try:
            subjects.append(Subject(name, store))
        except SessionStoreError as error:
            yield name, Measured(problem=str(error))
    try:
        for _request in range(requests + 1):
            for kind in KINDS:
                for subject in subjects:
                    subject.request(kind)
                    progress()
        for subject in subjects:
            yield subject.name, subject.measured()
    finally:
        with ExitStack() as stack:
            # All of them, whatever becomes of one.
            for subject in subjects:
                stack.callback(subject.clear)


@contextmanager
def stores() -> Iterator[dict[str, Any]]:
    """Our five engines; that of files in a folder of its own, beside the sessions if it can be."""
    found = {name: import_module(f"cookieproj.engines.{name}").SessionStore for name in NAMES}
    folder = Path(settings.SESSION_FILE_PATH)
    with tempfile.TemporaryDirectory(dir=folder if os.access(folder, os.W_OK) else None) as own:
        found["file"] = in_folder(found["file"], own)
        yield found


def in_folder(store: Any, path: str) -> Any:
    """That engine of files with its files there, which people know by the folder of the site."""
    place = format_lazy(_("folder {path}"), path=settings.SESSION_FILE_PATH)
    # Of the same name, which is a part of what it signs with.
    return type("SessionStore", (store,), {"_storage_path": path, "_place": lambda *_: place})


def machine() -> str:
    return (
        f"{platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, Django {django.get_version()}"
    )


def keep(made: Benchmark) -> None:
    """For ``last``. Raises OSError where DEMO_BENCHMARK cannot be written."""
    written = settings.DEMO_BENCHMARK.with_suffix(".new")
    written.write_text(json.dumps(asdict(made), indent=2))
    written.replace(settings.DEMO_BENCHMARK)


def last() -> Benchmark | None:
    """None where nothing was measured yet, or what is there is no benchmark of these engines."""
    try:
        told = json.loads(settings.DEMO_BENCHMARK.read_text())
        engines = {name: measured_from(told["engines"][name]) for name in NAMES}
        return Benchmark(**{**told, "engines": engines})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def measured_from(told: dict[str, Any]) -> Measured:
    """Raises KeyError or TypeError for what ``keep`` has not written."""
    requests = told["requests"] and {kind: Cost(**told["requests"][kind]) for kind in KINDS}
    return Measured(**{**told, "requests": requests})
