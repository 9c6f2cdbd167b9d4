"""One test does not affect the next."""

import asyncio
from pathlib import Path

from asgiref.sync import sync_to_async
from django.db import connections
from pytest_django import DjangoDbBlocker

from .conftest import connected


def test_thread_of_async_views_uses_the_database_of_the_test(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    """All calls of ``asyncio.run`` share one thread, which ends with the process."""

    def database_name() -> str:
        with connections["default"].cursor():
            return str(connections["default"].settings_dict["NAME"])

    with django_db_blocker.unblock():
        for path in (tmp_path / "first", tmp_path / "second"):
            with connected(f"sqlite:///{path}"):
                assert asyncio.run(sync_to_async(database_name)()) == str(path)
