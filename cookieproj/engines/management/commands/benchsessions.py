"""``manage.py benchsessions``: measures what a request costs on each session engine."""

import json
import os
from argparse import ArgumentTypeError
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cookieproj.engines.benchmark import results
from cookieproj.engines.benchmark.results import Benchmark, Cost, EngineResult
from cookieproj.engines.benchmark.run import benchmark, installed_engines, payload_of
from cookieproj.engines.benchmark.views import KINDS
from cookieproj.engines.benchmark.visitor import RequestFailedError
from cookieproj.engines.constants import ENGINE_NAMES
from cookieproj.engines.engine_registry import EngineRef, both_families, resolve_engine
from cookieproj.engines.management.commands.clearsessions import STORE_ERRORS
from cookieproj.engines.management.interrupts import INTERRUPTED, sigterm_as_ctrl_c
from cookieproj.engines.management.progress import progress_bar


def positive_number(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise ArgumentTypeError(_("%(text)r is not a positive whole number") % {"text": text})
    return int(text)


def engine_paths(text: str) -> list[str]:
    """Return the paths of our engine and Django's of that name, or the path of any other engine."""
    try:
        _session_class = resolve_engine(text).session_class
        if text in ENGINE_NAMES:
            return both_families(text)
    except ImportError as error:
        raise ArgumentTypeError(
            _("%(text)r is no engine: %(names)s, or the dotted path of one")
            % {"text": text, "names": ", ".join(ENGINE_NAMES)}
        ) from error
    return [text]


def json_payload(path: str) -> dict[str, Any]:
    try:
        data = json.loads(Path(path).read_text())
    # RecursionError for brackets that are nested too deep.
    except (OSError, ValueError, RecursionError) as error:
        raise ArgumentTypeError(
            _("cannot read %(path)s: %(error)s") % {"path": path, "error": error}
        ) from error
    if not isinstance(data, dict):
        raise ArgumentTypeError(_("%(path)s does not contain a JSON object") % {"path": path})
    return data


def writable_file(text: str) -> Path:
    """Return the path. Raises ArgumentTypeError if it cannot be written after the measurement."""
    path = Path(text)
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ArgumentTypeError(
            _("cannot write %(path)s: name a file in a folder where you may write") % {"path": path}
        )
    return path


class Command(BaseCommand):
    help = _(
        "Measure what each kind of request costs on each engine, ours and Django's, with the "
        "stores of this site. The page /engines/ shows it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--engine",
            action="append",
            type=engine_paths,
            metavar="NAME",
            help=_(
                "One of %(names)s, for ours and Django's, or the dotted path of any engine. "
                "Can be repeated. The default is all whose driver is installed."
            )
            % {"names": ", ".join(ENGINE_NAMES)},
        )
        parser.add_argument(
            "--requests",
            type=positive_number,
            default=1000,
            metavar="N",
            help=_("Time this many requests of each kind on each engine (1000)."),
        )
        parser.add_argument(
            "--concurrency",
            type=positive_number,
            default=1,
            metavar="N",
            help=_("Let this many visitors send requests at the same time, each that many (1)."),
        )
        session_data = parser.add_mutually_exclusive_group()
        session_data.add_argument(
            "--size",
            type=positive_number,
            default=200,
            metavar="BYTES",
            help=_("The approximate size of each session in bytes (200)."),
        )
        session_data.add_argument(
            "--payload",
            type=json_payload,
            metavar="FILE.json",
            help=_("Store this JSON object in each session."),
        )
        parser.add_argument(
            "--json",
            type=writable_file,
            metavar="FILE",
            help=_("Also write the figures to this file."),
        )

    def handle(self, **options: Any) -> None:
        try:
            measured = self.measure(**options)
            results.keep(measured)
            if options["json"]:
                options["json"].write_text(results.as_json(measured))
        except KeyboardInterrupt as error:
            raise CommandError(
                _("Interrupted. No result is kept, and no session is left in the stores."),
                returncode=INTERRUPTED,
            ) from error
        except (*STORE_ERRORS, RequestFailedError) as error:
            raise CommandError(
                _("Could not measure the engines: %(error)s") % {"error": error}
            ) from error
        self.show(measured)

    def measure(self, **options: Any) -> Benchmark:
        named = chain.from_iterable(options["engine"] or [installed_engines()])
        engines = list(dict.fromkeys(named))
        payload = options["payload"]
        requests: int = options["requests"]
        # Without sessions there is only one kind of request.
        total = requests * (len(KINDS) * len(engines) + 1)
        with (
            as_in_production(),
            sigterm_as_ctrl_c(),
            progress_bar(total=total, unit=_(" requests")) as bar,
        ):
            return benchmark(
                engines,
                requests=requests,
                visitors=options["concurrency"],
                payload=payload_of(options["size"]) if payload is None else payload,
                progress=bar.update,
            )

    def show(self, measured: Benchmark) -> None:
        self.stdout.write(
            ngettext(
                "%(requests)d requests of each kind, sessions of %(payload)d bytes, %(visitors)d "
                "visitor at a time. %(where)s.",
                "%(requests)d requests of each kind by each of %(visitors)d visitors at a time, "
                "sessions of %(payload)d bytes. %(where)s.",
                measured.visitors,
            )
            % {**vars(measured), "where": measured.where}
        )
        self.stdout.write(
            _(
                "Microseconds, median and 95th percentile (trips to the store), with bytes in "
                "cookie and store."
            )
        )
        self.row("", [*KINDS, _("cookie"), _("store")])
        self.row(_("no sessions"), [cost_cell(measured.without)])
        for result in measured.engines:
            self.show_engine(result)

    def show_engine(self, result: EngineResult) -> None:
        engine = EngineRef(result.engine)
        name = _("  Django's") if engine.is_djangos else engine.label
        if result.problem:
            self.row(name, [f"  {result.problem}"])
            return
        costs = result.requests.values()
        stored = "-" if result.stored_bytes is None else str(result.stored_bytes)
        self.row(name, [*map(cost_cell, costs), str(result.cookie_bytes), stored])
        if any(cost.ratio is not None for cost in costs):
            self.row(_("  ours/Django's"), [f"{cost.ratio:.2f}" for cost in costs])

    def row(self, name: str, cells: Sequence[str]) -> None:
        widths = [*[18] * len(KINDS), 8, 8]
        self.stdout.write(
            f"{name:<16}"
            + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=False))
        )


def cost_cell(cost: Cost) -> str:
    trips = "" if cost.trips is None else f" ({cost.trips})"
    return f"{cost.median:.0f} {cost.p95:.0f}{trips}"


@contextmanager
def as_in_production() -> Iterator[None]:
    """Turn DEBUG off: with it Django keeps every statement, which is no cost of a session."""
    was_debug = settings.DEBUG
    settings.DEBUG = False
    try:
        yield
    finally:
        settings.DEBUG = was_debug
