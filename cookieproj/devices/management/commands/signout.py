"""``manage.py signout``: signs users out everywhere, or ends some of their sessions."""

import json
from argparse import ArgumentTypeError
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cookieproj.devices.models import SignedInSession
from cookieproj.devices.signing_out import end_each, sign_out_everywhere
from cookieproj.devices.user_model import find_by_name, users
from cookieproj.engines import running_engine
from cookieproj.engines.exceptions import SessionStoreError

# Users that one query reads.
BATCH_SIZE = 500


def number_of_days(text: str) -> timedelta:
    # Every database can store the date a million days ago.
    if not text.isdecimal() or len(text) > len("999999"):
        raise ArgumentTypeError(_("%(text)r is not a number of days") % {"text": text})
    return timedelta(days=int(text))


def session_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        reason = _("%(text)r is not the id of a session; manage.py sessions lists them")
        raise ArgumentTypeError(reason % {"text": text}) from None


class Command(BaseCommand):
    help = _(
        "Sign users out everywhere, on every device and whichever engine the site runs. "
        "With --except-session or --older-than, end only some of the sessions that are known."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", nargs="*", metavar="USER", help=_("A user name."))
        parser.add_argument("--all", action="store_true", help=_("All users."))
        parser.add_argument(
            "--except-session",
            action="append",
            type=session_id,
            metavar="ID",
            help=_("Keep this session signed in. Can be repeated."),
        )
        parser.add_argument(
            "--older-than",
            type=number_of_days,
            metavar="DAYS",
            help=_("End only sessions that were signed in at least this many days ago."),
        )
        parser.add_argument("--json", action="store_true", help=_("As JSON."))

    def handle(self, **options: Any) -> None:
        if bool(options["user"]) == options["all"]:
            raise CommandError(_("Name users, or use --all."))
        is_selective = bool(options["except_session"] or options["older_than"] is not None)
        if is_selective and (reason := running_engine.why_not_single()):
            raise CommandError(reason)
        ended: list[dict[str, Any]] = []
        try:
            check_session_ids(options["except_session"] or [])
            # ``users`` looks up all names first, so that after a wrong name nobody is signed out.
            for user in self.users(**options):
                number = (
                    end_some(user, options["except_session"], options["older_than"])
                    if is_selective
                    else sign_out_everywhere(user)
                )
                ended.append({"user": user.get_username(), "ended": number})
                if not options["json"]:
                    self.stdout.write(ended_message(is_selective, **ended[-1]))
        except (DatabaseError, SessionStoreError) as error:
            raise CommandError(_("Could not sign out: %(error)s") % {"error": error}) from error
        if options["json"]:
            self.stdout.write(json.dumps(ended, indent=2))

    def users(self, **options: Any) -> Iterator[Any]:
        if options["all"]:
            return all_users()
        return iter([find_user(name) for name in dict.fromkeys(options["user"])])


def all_users() -> Iterator[Any]:
    """Yield all users, read in batches: a cursor would need one connection, or a transaction."""
    remaining = ordered = users().order_by("pk")
    while batch := list(remaining[:BATCH_SIZE]):
        yield from batch
        remaining = ordered.filter(pk__gt=batch[-1].pk)


def end_some(user: Any, kept: list[UUID] | None, age: timedelta | None) -> int:
    rows = user.signed_in_sessions.exclude(pk__in=kept or [])
    if age is not None:
        rows = rows.filter(signed_in_at__lte=timezone.now() - age)
    return end_each(rows)


def ended_message(is_selective: bool, *, user: str, ended: int) -> str:
    if is_selective:
        text = ngettext(
            "%(name)s: %(number)d session is ended.",
            "%(name)s: %(number)d sessions are ended.",
            ended,
        )
    else:
        text = ngettext(
            "%(name)s is signed out everywhere; %(number)d session known.",
            "%(name)s is signed out everywhere; %(number)d sessions known.",
            ended,
        )
    return text % {"name": user, "number": ended}


def find_user(name: str) -> Any:
    user = find_by_name(name)
    if user is None:
        text = _("There is no user %(name)r. Nobody is signed out.")
        raise CommandError(text % {"name": name})
    return user


def check_session_ids(ids: list[UUID]) -> None:
    """Raise CommandError for an unknown id: a typing error would end the session that stays."""
    known = SignedInSession.objects.filter(pk__in=ids).values_list("pk", flat=True)
    if unknown := set(ids) - set(known):
        text = _("There is no session %(ids)s. Nobody is signed out.")
        raise CommandError(text % {"ids": ", ".join(map(str, sorted(unknown)))})
