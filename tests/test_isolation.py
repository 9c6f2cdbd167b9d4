"""What one test leaves to the next."""

import asyncio
from pathlib import Path

from asgiref.sync import sync_to_async
from django.db import connections
from pytest_django import DjangoDbBlocker

from .conftest import connected


def test_the_thread_of_async_views_has_the_database_of_the_test(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    """It is one for all that ``asyncio.run`` runs, and ends with the process."""

    def used() -> str:
        with connections["default"].cursor():
            return str(connections["default"].settings_dict["NAME"])

    with django_db_blocker.unblock():
        for path in (tmp_path / "one", tmp_path / "other"):
            with connected(f"sqlite:///{path}"):
                assert asyncio.run(sync_to_async(used)()) == str(path)
