"""``manage.py clearsessions``: clears the registry of signed-in sessions as well."""

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

    # Rows of the registry that were deleted.
    deleted_rows = 0

    def clear_all(self, **options: Any) -> None:
        super().clear_all(**options)
        if not options["dry_run"]:
            # Before the first output: on a store whose sessions expire by themselves, only this
            # step asks the store, and may fail.
            self.deleted_rows = clear_registry.clear()

    def handle(self, **options: Any) -> None:
        super().handle(**options)
        if self.deleted_rows:
            text = ngettext(
                "Removed %(number)d sign-in record whose session no longer exists.",
                "Removed %(number)d sign-in records whose sessions no longer exist.",
                self.deleted_rows,
            )
            self.stdout.write(text % {"number": self.deleted_rows})
