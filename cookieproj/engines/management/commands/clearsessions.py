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

AWAY = (SessionStoreError, OSError, DatabaseError, ImproperlyConfigured)

# More than a store holds, and not more than any of them takes for a number.
MOST = 2**31 - 1


def batch_size(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise ArgumentTypeError(
            _("%(text)r is no number of sessions; 1 is the least") % {"text": text}
        )
    return min(int(text), MOST)


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
            batch_size_help=_("Clear so many at a time; between two other requests go on (50000)."),
            dry_run_help=_("Only say how many would be cleared."),
        )

    # How many were cleared so far, by a store that counts them.
    cleared: int | None = None

    def handle(self, **options: Any) -> None:
        try:
            with sigterm_as_ctrl_c():
                self.clear_all(**options)
        except AWAY as error:
            raise CommandError(
                _("Could not clear the sessions: %(error)s") % {"error": error}
            ) from error
        except KeyboardInterrupt as error:
            raise CommandError(self.interrupted(), returncode=INTERRUPTED) from error
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
            self.say(text, self.cleared)

    def clear_all(self, **options: Any) -> None:
        store: Any = running_engine.store()
        # One that a subclass has written need not know of batches.
        counts = hasattr(store, "count_expired") and not overrides(store, "clear_expired")
        if options["dry_run"]:
            self.only_count(store if counts else None)
        elif counts:
            self.clear(store, options["batch_size"])
        else:
            store.clear_expired()

    def only_count(self, store: Any | None) -> None:
        if store is None:
            raise CommandError(
                _("%(engine)s does not count its sessions.") % {"engine": settings.SESSION_ENGINE}
            )
        number = store.count_expired()
        text = ngettext(
            "Would clear %(number)d expired session.",
            "Would clear %(number)d expired sessions.",
            number,
        )
        self.say(text, number)

    def say(self, text: str, number: int) -> None:
        none = _("There are no expired sessions.")
        self.stdout.write(text % {"number": number} if number else none)

    def clear(self, store: Any, batch_size: int) -> None:
        """With a bar, on a terminal; cron gets the last line only."""
        with progress_bar(unit=_(" sessions"), desc=_("Clearing")) as bar:
            if not bar.disable:
                bar.total = store.count_expired()
            self.cleared = 0
            with stop_between_steps() as stop_if_asked:

                def show(so_far: int) -> None:
                    bar.update(so_far - (self.cleared or 0))
                    self.cleared = so_far
                    stop_if_asked()

                store.clear_expired(batch_size=batch_size, progress=show)

    def interrupted(self) -> str:
        if self.cleared is None:
            return _("Interrupted.")
        text = ngettext(
            "Interrupted. %(number)d expired session is cleared and stays so.",
            "Interrupted. %(number)d expired sessions are cleared and stay so.",
            self.cleared,
        )
        return text % {"number": self.cleared}
