from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from demo.devices import sign_out_everywhere
from demo.models import User


class Command(BaseCommand):
    help = "Sign a user out everywhere, on every device and whichever engine the site runs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", nargs="+", metavar="USER", help="A user name.")

    def handle(self, *args: Any, **options: Any) -> None:
        # All are looked for first, so that a wrong name leaves nothing half done.
        try:
            users = [found(name) for name in dict.fromkeys(options["user"])]
            for user in users:
                ended = sign_out_everywhere(user)
                self.stdout.write(
                    f"{user.username} is signed out everywhere; "
                    f"{ended} session{'' if ended == 1 else 's'} known."
                )
        except DatabaseError as error:
            raise CommandError(f"Could not sign out: {error}") from error


def found(name: str) -> User:
    try:
        return User.objects.get_by_natural_key(name)
    except User.DoesNotExist:
        raise CommandError(f"There is no user {name!r}. Nobody is signed out.") from None
