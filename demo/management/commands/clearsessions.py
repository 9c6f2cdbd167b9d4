from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.sessions.management.commands.clearsessions import Command as ClearSessions
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.db import DatabaseError

from cookieproj.engines.exceptions import SessionStoreError


class Command(ClearSessions):
    help = "Clear expired sessions of the running engine and say how many they were."

    def handle(self, **options: Any) -> None:
        store = import_module(settings.SESSION_ENGINE).SessionStore
        try:
            cleared = store.clear_expired()
        except (SessionStoreError, OSError, DatabaseError, ImproperlyConfigured) as error:
            raise CommandError(f"Could not clear the sessions: {error}") from error
        if cleared is None:
            # Django's own engines do not count.
            self.stdout.write("Cleared the expired sessions.")
        elif cleared == 0:
            self.stdout.write("There are no expired sessions.")
        else:
            self.stdout.write(f"Cleared {cleared} expired session{'' if cleared == 1 else 's'}.")
