"""``manage.py clearsessions``: Django's command, in batches, with a progress bar and counts."""

from argparse import ArgumentTypeError
from typing import Any

from django.conf import settings
from django.contrib.sessions.management.commands.clearsessions import Command as ClearSessions
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cookieproj.engines import running_engine
from cookieproj.engines.exceptions import SessionStoreError
from cookieproj.engines.listing import BATCH
from cookieproj.engines.management.interrupts import (
    INTERRUPTED,
    sigterm_as_ctrl_c,
    stop_between_steps,
)
from cookieproj.engines.management.progress import progress_bar
from cookieproj.engines.subclass_hooks import overrides

# Errors that a command reports in one line, without a traceback.
STORE_ERRORS = (SessionStoreError, OSError, DatabaseError, ImproperlyConfigured)

# More sessions than a store holds, and a number that each store accepts as a limit.
MAX_BATCH_SIZE = 2**31 - 1


def batch_size(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise ArgumentTypeError(
            _("%(text)r is not a number of sessions; the minimum is 1") % {"text": text}
        )
    return min(int(text), MAX_BATCH_SIZE)


def add_batch_options(
    parser: CommandParser, *, default: int, batch_size_help: str, dry_run_help: str
) -> None:
    parser.add_argument(
        "--batch-size", type=batch_size, default=default, metavar="N", help=batch_size_help
    )
    parser.add_argument("--dry-run", action="store_true", help=dry_run_help)


class Command(ClearSessions):
    help = _("Clear expired sessions of the running engine and say how many they were.")

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_batch_options(
            parser,
            default=BATCH,
            batch_size_help=_(
                "Clear this many at a time; other requests run between two batches (50000)."
            ),
            dry_run_help=_("Only report how many would be cleared."),
        )

    # Sessions cleared so far. None for a store that does not count them.
    cleared: int | None = None

    def handle(self, **options: Any) -> None:
        try:
            with sigterm_as_ctrl_c():
                self.clear_all(**options)
        except STORE_ERRORS as error:
            raise CommandError(
                _("Could not clear the sessions: %(error)s") % {"error": error}
            ) from error
        except KeyboardInterrupt as error:
            raise CommandError(self.interrupted_message(), returncode=INTERRUPTED) from error
        if options["dry_run"]:
            return
        if self.cleared is None:
            self.stdout.write(_("Cleared the expired sessions."))
        else:
            text = ngettext(
                "Cleared %(number)d expired session.",
                "Cleared %(number)d expired sessions.",
                self.cleared,
            )
            self.write_count(text, self.cleared)

    def clear_all(self, **options: Any) -> None:
        session_class: Any = running_engine.store()
        # A ``clear_expired`` of a subclass need not accept batches.
        has_counts = hasattr(session_class, "count_expired") and not overrides(
            session_class, "clear_expired"
        )
        if options["dry_run"]:
            self.count_only(session_class if has_counts else None)
        elif has_counts:
            self.clear(session_class, options["batch_size"])
        else:
            session_class.clear_expired()

    def count_only(self, session_class: Any | None) -> None:
        if session_class is None:
            raise CommandError(
                _("%(engine)s does not count its sessions.") % {"engine": settings.SESSION_ENGINE}
            )
        number = session_class.count_expired()
        text = ngettext(
            "Would clear %(number)d expired session.",
            "Would clear %(number)d expired sessions.",
            number,
        )
        self.write_count(text, number)

    def write_count(self, text: str, number: int) -> None:
        none_expired = _("There are no expired sessions.")
        self.stdout.write(text % {"number": number} if number else none_expired)

    def clear(self, session_class: Any, batch_size: int) -> None:
        """Clear in batches, with a progress bar on a terminal."""
        with progress_bar(unit=_(" sessions"), desc=_("Clearing")) as bar:
            if not bar.disable:
                bar.total = session_class.count_expired()
            self.cleared = 0
            with stop_between_steps() as stop_if_requested:

                def update(cleared: int) -> None:
                    bar.update(cleared - (self.cleared or 0))
                    self.cleared = cleared
                    stop_if_requested()

                session_class.clear_expired(batch_size=batch_size, progress=update)

    def interrupted_message(self) -> str:
        if self.cleared is None:
            return _("Interrupted.")
        text = ngettext(
            "Interrupted. %(number)d expired session is cleared.",
            "Interrupted. %(number)d expired sessions are cleared.",
            self.cleared,
        )
        return text % {"number": self.cleared}
