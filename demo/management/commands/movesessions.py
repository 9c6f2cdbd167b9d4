from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from cookieproj.engines.exceptions import NotListableError
from cookieproj.engines.handover import former, former_alias
from cookieproj.engines.handover.homes import NAMES, Home, home, shares_rows
from cookieproj.engines.handover.move import Outcome, Outcomes, move, rehearse, why_not
from demo.checks import sessions_are_pickled
from demo.clearing import BATCH
from demo.models import SignedInSession

from .clearsessions import AWAY, INTERRUPTED, add_batch_options


class Command(BaseCommand):
    help = (
        "Move the live sessions of one engine to another, each under its own key. "
        f"An engine is one of {', '.join(NAMES)}, or a dotted path. The cache of the first is "
        "SESSION_HANDOVER_CACHE, if that is set."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", required=True, dest="old", metavar="ENGINE")
        parser.add_argument("--to", required=True, dest="new", metavar="ENGINE")
        add_batch_options(
            parser,
            batch_size_help="Hold so many at a time (1000).",
            dry_run_help="Only say how many would be moved.",
        )
        parser.add_argument(
            "--keep",
            action="store_true",
            help="Copy them, and leave the originals where they are.",
        )

    def handle(self, **options: Any) -> None:
        try:
            old, new = home(options["old"], former_alias()), home(options["new"])
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        if reason := why_not(old, new):
            raise CommandError(reason)
        for warning in sessions_are_pickled(old.alias):
            self.stderr.write(self.style.WARNING(f"{warning.msg}\n{warning.hint}"))
        try:
            self.move(old, new, options)
        except NotListableError as error:
            raise CommandError(
                f"{error} With SESSION_HANDOVER_FROM={old.name} each is moved as it is used."
            ) from error
        except AWAY as error:
            raise CommandError(
                f"Could not move all sessions; those that are moved stay so. {error}"
            ) from error

    def move(self, old: Home, new: Home, options: dict[str, Any]) -> None:
        dry, size = options["dry_run"], options["batch_size"]
        keep = options["keep"] or is_served(old, new)
        expired = old.store.count_expired()
        note = partial(follow_in_index, old, new)
        batches = rehearse(old, new, size) if dry else move(old, new, size, keep=keep, note=note)
        counted = self.counted(batches, old)
        self.stdout.write(
            f"From {old.name} to {new.name}: {counted[Outcome.MOVED]} {'to be ' if dry else ''}"
            f"{'copied' if keep else 'moved'}, {counted[Outcome.THERE]} there already, "
            f"{expired} expired, {counted[Outcome.UNREADABLE]} that could not be read."
        )
        if keep and not options["keep"]:
            self.stdout.write(
                "The site runs on the originals, so they stay where they are. When it runs on "
                f"{new.name} with SESSION_HANDOVER_FROM={old.name}, this command moves the rest."
            )

    def counted(self, batches: Iterator[Outcomes], old: Home) -> Outcomes:
        """With a bar, on a terminal; cron gets the last line only."""
        counted: Outcomes = Counter()
        with tqdm(disable=None, unit=" sessions", desc="Moving", leave=False) as bar:
            if not bar.disable:
                bar.total = old.store.count()
            try:
                for outcomes in batches:
                    counted += outcomes
                    bar.update(outcomes.total())
            except KeyboardInterrupt as error:
                reason = (
                    f"Interrupted. {counted[Outcome.MOVED]} sessions are moved and stay so; "
                    "run it again to go on."
                )
                raise CommandError(reason, returncode=INTERRUPTED) from error
        return counted


def is_served(old: Home, new: Home) -> bool:
    """Whether the site, as these settings run it, would miss what is taken from the old engine."""
    try:
        running = home(settings.SESSION_ENGINE)
    except ImproperlyConfigured:
        return False
    return (old == running or shares_rows(old, running)) and new not in {running, former()}


def follow_in_index(old: Home, new: Home, keys: list[str]) -> None:
    """Before they are taken from the old store, so that nothing is moved that it does not know."""
    rows, rest = SignedInSession.objects.filter(engine=old.name), iter(keys)
    while batch := list(islice(rest, BATCH)):
        rows.filter(session_key__in=batch).update(engine=new.name)
