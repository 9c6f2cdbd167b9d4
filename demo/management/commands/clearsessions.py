from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.file import SessionStore as FileStore
from django.contrib.sessions.management.commands.clearsessions import Command as ClearSessions
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.db import DatabaseError
from django.utils import timezone


class Command(ClearSessions):
    help = "Clear expired sessions of the running engine and say how many they were."

    def handle(self, **options: Any) -> None:
        store = import_module(settings.SESSION_ENGINE).SessionStore
        try:
            cleared = how_to_clear(store)()
        except (OSError, DatabaseError, ImproperlyConfigured) as error:
            raise CommandError(f"Could not clear the sessions: {error}") from error
        if cleared is None:
            self.stdout.write(
                f"Nothing to clear: {settings.SESSION_ENGINE} keeps no expired sessions here."
            )
        else:
            self.stdout.write(f"Cleared {cleared} expired session{'' if cleared == 1 else 's'}.")


def how_to_clear(store: type[SessionBase]) -> Callable[[], int | None]:
    if hasattr(store, "get_model_class"):
        return lambda: clear_rows(store)
    if issubclass(store, FileStore):
        return lambda: clear_files(store)
    return store.clear_expired


def clear_rows(store: Any) -> int:
    """The one statement of Django's clear_expired, which does not tell what it deleted."""
    expired = store.get_model_class().objects.filter(expire_date__lt=timezone.now())
    return int(expired.delete()[0])


def clear_files(store: type[FileStore]) -> int:
    before = session_files(store)
    store.clear_expired()
    return len(before - session_files(store))


def session_files(store: type[FileStore]) -> set[str]:
    folder = Path(store._get_storage_path())  # type: ignore[attr-defined]
    return {file.name for file in folder.glob(f"{settings.SESSION_COOKIE_NAME}*")}
