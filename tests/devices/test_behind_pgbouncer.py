"""Outside of a transaction, each statement may go over another connection of PgBouncer's."""

from collections.abc import Iterator
from unittest import mock
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.test import Client
from pytest_django import DjangoDbBlocker, Settings

from cookieproj.devices.models import SignedInSession
from cookieproj.devices.signing_out import sign_out_everywhere
from demo.models import User
from tests.browsers import browser, is_in
from tests.conftest import connected, new_database


@pytest.fixture
def clients(
    postgresql_url: str,
    pgbouncer_port: int,
    demo_postgresql: str,
    settings: Settings,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[list[Client]]:
    """Two of each of two users."""
    name = f"pooled_{uuid4().hex}"
    new_database(postgresql_url, name, demo_postgresql)
    settings.SESSION_ENGINE = "cookieproj.engines.db"
    url = f"postgresql://postgres@127.0.0.1:{pgbouncer_port}/{name}"
    with django_db_blocker.unblock(), connected(url):
        users = [User.objects.get(username=name) for name in ("ada", "grace")]
        yield [browser(user) for user in users for _ in range(2)]


def test_somebody_signs_out_everywhere(clients: list[Client]) -> None:
    assert sign_out_everywhere(User.objects.get(username="ada")) > 1
    assert [is_in(client) for client in clients] == [False, False, True, True]


def test_everybody_is_signed_out(clients: list[Client]) -> None:
    with mock.patch("cookieproj.devices.management.commands.signout.BATCH_SIZE", 1):
        call_command("signout", "--all")
    assert [is_in(client) for client in clients] == [False] * 4
    assert not SignedInSession.objects.exists()
    call_command("clearsessions")
