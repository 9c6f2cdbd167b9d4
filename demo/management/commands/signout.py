from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from demo.devices import sign_out_everywhere
from demo.models import User


class Command(BaseCommand):
    help = _("Sign a user out everywhere, on every device and whichever engine the site runs.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", nargs="+", metavar="USER", help=_("A user name."))

    def handle(self, *args: Any, **options: Any) -> None:
        # All are looked for first, so that a wrong name leaves nothing half done.
        try:
            users = [found(name) for name in dict.fromkeys(options["user"])]
            for user in users:
                ended = sign_out_everywhere(user)
                text = ngettext(
                    "%(name)s is signed out everywhere; %(number)d session known.",
                    "%(name)s is signed out everywhere; %(number)d sessions known.",
                    ended,
                )
                self.stdout.write(text % {"name": user.username, "number": ended})
        except DatabaseError as error:
            raise CommandError(_("Could not sign out: %(error)s") % {"error": error}) from error


def found(name: str) -> User:
    try:
        return User.objects.get_by_natural_key(name)
    except (User.DoesNotExist, UnicodeEncodeError):
        # Bytes of a shell that are no text are nobody's name either.
        text = _("There is no user %(name)r. Nobody is signed out.")
        raise CommandError(text % {"name": name}) from None
