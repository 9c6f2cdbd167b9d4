from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cookieproj.devices import clear_registry
from cookieproj.engines.management.commands.clearsessions import Command as ClearSessions


class Command(ClearSessions):
    help = _(
        "Clear expired sessions of the running engine, and the sign-in records of sessions that "
        "no longer exist, and say how many they were."
    )

    forgotten = 0

    def clear_all(self, **options: Any) -> None:
        super().clear_all(**options)
        if not options["dry_run"]:
            # Before a word is said: where sessions expire by themselves, only this asks the store.
            self.forgotten = clear_registry.clear()

    def handle(self, **options: Any) -> None:
        super().handle(**options)
        if self.forgotten:
            text = ngettext(
                "Removed %(number)d sign-in record whose session no longer exists.",
                "Removed %(number)d sign-in records whose sessions no longer exist.",
                self.forgotten,
            )
            self.stdout.write(text % {"number": self.forgotten})
