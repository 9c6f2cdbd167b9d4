from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cookieproj.devices.services import sign_out_everywhere
from cookieproj.devices.users import users
from cookieproj.engines.exceptions import SessionStoreError


class Command(BaseCommand):
    help = _("Sign a user out everywhere, on every device and whichever engine the site runs.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", nargs="+", metavar="USER", help=_("A user name."))

    def handle(self, *args: Any, **options: Any) -> None:
        # All are looked for first, so that a wrong name leaves nothing half done.
        try:
            for user in [found(name) for name in dict.fromkeys(options["user"])]:
                ended = sign_out_everywhere(user)
                text = ngettext(
                    "%(name)s is signed out everywhere; %(number)d session known.",
                    "%(name)s is signed out everywhere; %(number)d sessions known.",
                    ended,
                )
                self.stdout.write(text % {"name": user.get_username(), "number": ended})
        except (DatabaseError, SessionStoreError) as error:
            raise CommandError(_("Could not sign out: %(error)s") % {"error": error}) from error


def found(name: str) -> Any:
    model = get_user_model()
    try:
        return users().get(**{model.USERNAME_FIELD: name})
    except (model.DoesNotExist, UnicodeEncodeError):
        # Bytes of a shell that are no text are nobody's name either.
        text = _("There is no user %(name)r. Nobody is signed out.")
        raise CommandError(text % {"name": name}) from None
