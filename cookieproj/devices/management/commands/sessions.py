"""``manage.py sessions``: lists where users are signed in."""

import json
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError
from django.utils import timezone
from django.utils.translation import gettext as _

from cookieproj.devices.models import SignedInSession
from cookieproj.devices.signing_out import devices_of
from cookieproj.devices.user_model import find_by_name
from cookieproj.engines.exceptions import SessionStoreError

TIME_FORMAT = "%Y-%m-%d %H:%M"


class Command(BaseCommand):
    help = _("List where users are signed in, the last seen first; up to 100 sessions per user.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", nargs="+", metavar="USER", help=_("A user name."))
        parser.add_argument("--json", action="store_true", help=_("As JSON, with times in UTC."))

    def handle(self, **options: Any) -> None:
        try:
            listed = [row for name in dict.fromkeys(options["user"]) for row in sessions_of(name)]
        except (DatabaseError, SessionStoreError) as error:
            text = _("Could not list the sessions: %(error)s")
            raise CommandError(text % {"error": error}) from error
        if options["json"]:
            described = list(map(as_json, listed))
            self.stdout.write(json.dumps(described, cls=DjangoJSONEncoder, indent=2))
        elif listed:
            for row in listed:
                self.stdout.write(text_line(row))
        else:
            self.stdout.write(_("Signed in nowhere."))


def sessions_of(name: str) -> list[SignedInSession]:
    user = find_by_name(name)
    if user is None:
        raise CommandError(_("There is no user %(name)r.") % {"name": name})
    return devices_of(user)


def as_json(row: SignedInSession) -> dict[str, Any]:
    """Return the row without its key: anybody who knows the key is signed in."""
    return {
        "id": row.pk,
        "user": row.user.get_username(),
        "browser": row.browser,
        "system": row.system,
        "address": row.address,
        "signed_in_at": row.signed_in_at,
        "last_seen": row.last_seen,
        "expires": row.expires,
        "engine": row.engine,
    }


def text_line(row: SignedInSession) -> str:
    seen, ends = map(local_time, (row.last_seen, row.expires))
    return _("%(id)s  %(user)s  %(device)s  %(address)s  last seen %(seen)s, until %(ends)s") % {
        "id": row.pk,
        "user": row.user.get_username(),
        "device": row.device,
        "address": row.address or "-",
        "seen": seen,
        "ends": ends,
    }


def local_time(moment: datetime) -> str:
    """Return the moment in the site's time zone. Without USE_TZ it is in that already."""
    local_moment = timezone.localtime(moment) if timezone.is_aware(moment) else moment
    return local_moment.strftime(TIME_FORMAT)
