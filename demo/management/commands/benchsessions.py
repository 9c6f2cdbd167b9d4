from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from tqdm import tqdm

from cookieproj.engines.handover.homes import NAMES
from demo import measuring
from demo.measuring import KINDS

from .clearsessions import AWAY, INTERRUPTED


def number(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise ArgumentTypeError(
            _("%(text)r is no number of requests; 1 is the least") % {"text": text}
        )
    return int(text)


class Command(BaseCommand):
    help = _("Measure what each kind of request costs on each engine, for the page /engines/.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--requests",
            type=number,
            default=1000,
            metavar="N",
            help=_("Time so many requests of each kind on each engine (1000)."),
        )

    def handle(self, **options: Any) -> None:
        requests: int = options["requests"]
        total = (requests + 1) * len(KINDS) * len(NAMES)
        try:
            with tqdm(disable=None, total=total, unit=_(" requests"), leave=False) as bar:
                made = measuring.benchmark(requests, bar.update)
            measuring.keep(made)
        except KeyboardInterrupt as error:
            raise CommandError(
                _("Interrupted. Nothing is kept, and nothing left in the stores."),
                returncode=INTERRUPTED,
            ) from error
        except AWAY as error:
            raise CommandError(
                _("Could not measure the engines: %(error)s") % {"error": error}
            ) from error
        self.show(made)

    def show(self, made: measuring.Benchmark) -> None:
        self.stdout.write(_("Median microseconds (trips). %(machine)s.") % {"machine": made.where})
        self.stdout.write("".join([" " * 16, *(f"{kind:>14}" for kind in KINDS)]))
        for name, measured in made.engines.items():
            costs = [
                f"{cost.microseconds:.0f} ({cost.trips})" for cost in measured.requests.values()
            ]
            line = "".join(f"{cost:>14}" for cost in costs) or f"  {measured.problem}"
            self.stdout.write(f"{name:<16}{line}")
