"""``manage.py movesessions``: moves or copies all sessions from one engine to another."""

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
from cookieproj.engines.handover.movable_engines import handover_engine
from cookieproj.engines.handover.move_all import (
    Outcome,
    OutcomeCounts,
    dry_run,
    move,
    why_unmovable,
)
from cookieproj.engines.handover.same_store import share_rows, why_same_store
from cookieproj.engines.handover_checks import sessions_are_pickled
from cookieproj.engines.management.commands.clearsessions import STORE_ERRORS, add_batch_options
from cookieproj.engines.management.interrupts import (
    INTERRUPTED,
    sigterm_as_ctrl_c,
    stop_between_steps,
)
from cookieproj.engines.management.progress import progress_bar
from cookieproj.engines.session_keys import masked
from cookieproj.engines.signals import sessions_moved

# Sessions that cannot be moved, and are named in the output.
MAX_KEYS_SHOWN = 10

# The last line of output, by what was done and whether it was a dry run.
SUMMARIES = {
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
            batch_size_help=_("Move this many sessions at a time (1000)."),
            dry_run_help=_("Only report how many sessions would be moved."),
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
            keep = options["keep"] or is_in_use(old, new)
            if reason := why_unmovable(old, new, keep=keep):
                raise CommandError(reason)
            for warning in sessions_are_pickled(old.alias):
                self.stderr.write(self.style.WARNING(f"{warning.msg}\n{warning.hint}"))
            self.move(old, new, options, keep=keep)
        except NotListableError as error:
            raise CommandError(
                _("%(reason)s With SESSION_HANDOVER_FROM=%(engine)s each is moved as it is used.")
                % {"reason": error, "engine": old.name}
            ) from error
        except STORE_ERRORS as error:
            raise CommandError(
                _("Could not move all sessions. Those already moved stay moved. %(error)s")
                % {"error": error}
            ) from error

    def move(self, old: EngineRef, new: EngineRef, options: dict[str, Any], *, keep: bool) -> None:
        is_dry_run, batch_size = options["dry_run"], options["batch_size"]
        expired = old.store.count_expired()
        unmovable_keys: list[str] = []

        def on_unmovable(keys: list[str]) -> None:
            unmovable_keys.extend(keys[: MAX_KEYS_SHOWN - len(unmovable_keys)])

        if is_dry_run:
            batches = dry_run(old, new, batch_size, on_unmovable=on_unmovable)
        else:
            on_moved = functools.partial(send_sessions_moved, old, new)
            batches = move(
                old, new, batch_size, keep=keep, on_moved=on_moved, on_unmovable=on_unmovable
            )
        counts = self.count(batches, old)
        text = SUMMARIES["copied" if keep else "moved", is_dry_run]
        self.stdout.write(
            text
            % {
                "old": old.name,
                "new": new.name,
                "moved": counts[Outcome.MOVED],
                "there": counts[Outcome.ALREADY_IN_NEW],
                "expired": expired,
                "unreadable": counts[Outcome.UNMOVABLE],
            }
        )
        if unmovable_keys:
            self.stdout.write(unmoved_message(unmovable_keys, counts[Outcome.UNMOVABLE]))
        if keep and not options["keep"]:
            explanation = _(
                "The site runs on the originals, so they stay where they are. When it runs on "
                "%(new)s with SESSION_HANDOVER_FROM=%(old)s, this command moves the rest."
            )
            self.stdout.write(explanation % {"new": new.name, "old": old.name})

    def count(self, batches: Iterator[OutcomeCounts], old: EngineRef) -> OutcomeCounts:
        """Move the batches and return the counts of outcomes. Shows a bar on a terminal."""
        counts: OutcomeCounts = Counter()
        with (
            sigterm_as_ctrl_c(),
            progress_bar(unit=_(" sessions"), desc=_("Moving")) as bar,
        ):
            try:
                if not bar.disable:
                    bar.total = old.store.count()
                with stop_between_steps() as stop_if_requested:
                    for outcomes in batches:
                        counts += outcomes
                        bar.update(outcomes.total())
                        stop_if_requested()
            except KeyboardInterrupt as error:
                moved = counts[Outcome.MOVED]
                reason = ngettext(
                    "Interrupted. %(number)d session is moved. Run the command again to continue.",
                    "Interrupted. %(number)d sessions are moved. Run the command again to "
                    "continue.",
                    moved,
                )
                raise CommandError(reason % {"number": moved}, returncode=INTERRUPTED) from error
        return counts


def is_in_use(old: EngineRef, new: EngineRef) -> bool:
    """Whether the site, with these settings, still needs the sessions of the old engine."""
    try:
        running = handover_engine(settings.SESSION_ENGINE)
    except ImproperlyConfigured:
        return False
    if new == running:
        return False
    uses_old_store = share_rows(old, running) or bool(why_same_store(old, running, probe=True))
    return uses_old_store and new != previous()


def unmoved_message(first_keys: list[str], number: int) -> str:
    """Name the sessions that stay, ``number`` in all, by the beginnings of the first keys."""
    keys = ", ".join(map(masked, first_keys))
    if number == len(first_keys):
        return _("Not moved: %(keys)s. The log says why.") % {"keys": keys}
    return _("Not moved: %(keys)s and %(number)d more. The log says why.") % {
        "keys": keys,
        "number": number - len(first_keys),
    }


def send_sessions_moved(old: EngineRef, new: EngineRef, keys: list[str]) -> None:
    """Send the signal before the sessions are deleted from the old store.

    So its receivers know where a session is by the time it is missing there.
    """
    sessions_moved.send(sender=EngineRef, old=old, new=new, keys=keys)
