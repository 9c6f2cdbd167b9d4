from argparse import ArgumentTypeError
from typing import Any

from django.conf import settings
from django.contrib.sessions.management.commands.clearsessions import Command as ClearSessions
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError
from tqdm import tqdm

from cookieproj.engines.exceptions import SessionStoreError
from demo import clearing, engine

AWAY = (SessionStoreError, OSError, DatabaseError, ImproperlyConfigured)

# What a shell calls a program that was ended by Ctrl-C.
INTERRUPTED = 130


def batch_size(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise ArgumentTypeError(f"{text!r} is no number of sessions; 1 is the least")
    return int(text)


def add_batch_options(parser: CommandParser, *, batch_size_help: str, dry_run_help: str) -> None:
    parser.add_argument(
        "--batch-size", type=batch_size, default=1000, metavar="N", help=batch_size_help
    )
    parser.add_argument("--dry-run", action="store_true", help=dry_run_help)


class Command(ClearSessions):
    help = "Clear expired sessions of the running engine and say how many they were."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_batch_options(
            parser,
            batch_size_help="Clear so many at a time; between two other requests go on (1000).",
            dry_run_help="Only say how many would be cleared.",
        )

    def handle(self, **options: Any) -> None:
        store: Any = engine.store()
        counts = hasattr(store, "count_expired")
        if options["dry_run"] and not counts:
            raise CommandError(f"{settings.SESSION_ENGINE} does not count its sessions.")
        try:
            if options["dry_run"]:
                self.say("Would clear", store.count_expired())
            elif counts:
                self.say("Cleared", self.clear(store, options["batch_size"]))
            else:
                store.clear_expired()
                self.stdout.write("Cleared the expired sessions.")
            if not options["dry_run"]:
                self.clear_index()
        except AWAY as error:
            raise CommandError(f"Could not clear the sessions: {error}") from error

    def say(self, what: str, number: int) -> None:
        if number == 0:
            self.stdout.write("There are no expired sessions.")
        else:
            self.stdout.write(f"{what} {number} expired session{'' if number == 1 else 's'}.")

    def clear_index(self) -> None:
        if gone := clearing.clear():
            what = "sign-in whose session is" if gone == 1 else "sign-ins whose sessions are"
            self.stdout.write(f"Forgot {gone} {what} gone.")

    def clear(self, store: Any, batch_size: int) -> int:
        """With a bar, on a terminal; cron gets the last line only."""
        cleared = 0
        with tqdm(disable=None, unit=" sessions", desc="Clearing", leave=False) as bar:

            def show(so_far: int) -> None:
                nonlocal cleared
                bar.update(so_far - cleared)
                cleared = so_far

            if not bar.disable:
                bar.total = store.count_expired()
            try:
                store.clear_expired(batch_size=batch_size, progress=show)
            except KeyboardInterrupt as error:
                reason = f"Interrupted. {cleared} expired sessions are cleared and stay so."
                raise CommandError(reason, returncode=INTERRUPTED) from error
        return cleared
