import functools
from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from cookieproj.engines.constants import ENGINE_NAMES
from cookieproj.engines.engine_registry import EngineRef
from cookieproj.engines.exceptions import NotListableError
from cookieproj.engines.handover import previous, previous_alias
from cookieproj.engines.handover.comparing_stores import handover_engine, same_store, share_rows
from cookieproj.engines.handover.move_all import Outcome, Outcomes, move, rehearse, why_not
from cookieproj.engines.handover_checks import sessions_are_pickled
from cookieproj.engines.management.commands.clearsessions import AWAY, add_batch_options
from cookieproj.engines.management.interrupts import (
    INTERRUPTED,
    sigterm_as_ctrl_c,
    stop_between_steps,
)
from cookieproj.engines.management.progress import progress_bar
from cookieproj.engines.session_keys import masked
from cookieproj.engines.signals import sessions_moved

# Sessions that cannot be moved, of which so many are told.
NAMED = 10

# By what is done, and whether it was only rehearsed.
OUTCOMES = {
    ("moved", False): gettext_lazy(
        "From %(old)s to %(new)s: %(moved)d moved, %(there)d there already, %(expired)d expired, "
        "%(unreadable)d that could not be read."
    ),
    ("moved", True): gettext_lazy(
        "From %(old)s to %(new)s: %(moved)d to be moved, %(there)d there already, %(expired)d "
        "expired, %(unreadable)d that could not be read."
    ),
    ("copied", False): gettext_lazy(
        "From %(old)s to %(new)s: %(moved)d copied, %(there)d there already, %(expired)d expired, "
        "%(unreadable)d that could not be read."
    ),
    ("copied", True): gettext_lazy(
        "From %(old)s to %(new)s: %(moved)d to be copied, %(there)d there already, %(expired)d "
        "expired, %(unreadable)d that could not be read."
    ),
}


class Command(BaseCommand):
    help = _(
        "Move the live sessions of one engine to another, each under its own key. "
        "An engine is one of %(names)s, or a dotted path. The cache of the first is "
        "SESSION_HANDOVER_CACHE, if that is set."
    ) % {"names": ", ".join(ENGINE_NAMES)}

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", required=True, dest="old", metavar="ENGINE")
        parser.add_argument("--to", required=True, dest="new", metavar="ENGINE")
        add_batch_options(
            parser,
            default=1000,
            batch_size_help=_("Hold so many at a time (1000)."),
            dry_run_help=_("Only say how many would be moved."),
        )
        parser.add_argument(
            "--keep",
            action="store_true",
            help=_("Copy them, and leave the originals where they are."),
        )

    def handle(self, **options: Any) -> None:
        try:
            old, new = (
                handover_engine(options["old"], previous_alias()),
                handover_engine(options["new"]),
            )
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        try:
            keep = options["keep"] or is_served(old, new)
            if reason := why_not(old, new, keep=keep):
                raise CommandError(reason)
            for warning in sessions_are_pickled(old.alias):
                self.stderr.write(self.style.WARNING(f"{warning.msg}\n{warning.hint}"))
            self.move(old, new, options, keep=keep)
        except NotListableError as error:
            raise CommandError(
                _("%(reason)s With SESSION_HANDOVER_FROM=%(engine)s each is moved as it is used.")
                % {"reason": error, "engine": old.name}
            ) from error
        except AWAY as error:
            raise CommandError(
                _("Could not move all sessions; those that are moved stay so. %(error)s")
                % {"error": error}
            ) from error

    def move(self, old: EngineRef, new: EngineRef, options: dict[str, Any], *, keep: bool) -> None:
        dry, size = options["dry_run"], options["batch_size"]
        expired = old.store.count_expired()
        first: list[str] = []

        def on_unmovable(keys: list[str]) -> None:
            first.extend(keys[: NAMED - len(first)])

        if dry:
            batches = rehearse(old, new, size, on_unmovable=on_unmovable)
        else:
            note = functools.partial(announce, old, new)
            batches = move(old, new, size, keep=keep, on_moved=note, on_unmovable=on_unmovable)
        counted = self.counted(batches, old)
        text = OUTCOMES["copied" if keep else "moved", dry]
        self.stdout.write(
            text
            % {
                "old": old.name,
                "new": new.name,
                "moved": counted[Outcome.MOVED],
                "there": counted[Outcome.THERE],
                "expired": expired,
                "unreadable": counted[Outcome.UNREADABLE],
            }
        )
        if first:
            self.stdout.write(named(first, counted[Outcome.UNREADABLE]))
        if keep and not options["keep"]:
            explained = _(
                "The site runs on the originals, so they stay where they are. When it runs on "
                "%(new)s with SESSION_HANDOVER_FROM=%(old)s, this command moves the rest."
            )
            self.stdout.write(explained % {"new": new.name, "old": old.name})

    def counted(self, batches: Iterator[Outcomes], old: EngineRef) -> Outcomes:
        """With a bar, on a terminal; cron gets the last line only."""
        counted: Outcomes = Counter()
        with (
            sigterm_as_ctrl_c(),
            progress_bar(unit=_(" sessions"), desc=_("Moving")) as bar,
        ):
            try:
                if not bar.disable:
                    bar.total = old.store.count()
                with stop_between_steps() as stop_if_asked:
                    for outcomes in batches:
                        counted += outcomes
                        bar.update(outcomes.total())
                        stop_if_asked()
            except KeyboardInterrupt as error:
                moved = counted[Outcome.MOVED]
                reason = ngettext(
                    "Interrupted. %(number)d session is moved and stays so; run it again to go on.",
                    "Interrupted. %(number)d sessions are moved and stay so; run it again to go "
                    "on.",
                    moved,
                )
                raise CommandError(reason % {"number": moved}, returncode=INTERRUPTED) from error
        return counted


def is_served(old: EngineRef, new: EngineRef) -> bool:
    """Whether the site, as these settings run it, would miss what is taken from the old engine."""
    try:
        running = handover_engine(settings.SESSION_ENGINE)
    except ImproperlyConfigured:
        return False
    if new == running:
        return False
    is_one = share_rows(old, running) or bool(same_store(old, running, ask=True))
    return is_one and new != previous()


def named(first: list[str], number: int) -> str:
    """Which sessions stay, by the beginnings of the first keys."""
    keys = ", ".join(map(masked, first))
    if number == len(first):
        return _("Not moved: %(keys)s. The log says why.") % {"keys": keys}
    return _("Not moved: %(keys)s and %(number)d more. The log says why.") % {
        "keys": keys,
        "number": number - len(first),
    }


def announce(old: EngineRef, new: EngineRef, keys: list[str]) -> None:
    """Before they are deleted from the old store, so that nobody misses one that is moved."""
    sessions_moved.send(sender=EngineRef, old=old, new=new, keys=keys)
