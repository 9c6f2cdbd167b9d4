"""Migrations move the registry, with its contents, to this app's tables and back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection
from django.test import Client
from pytest_django import DjangoDbBlocker, Settings

from cookieproj.devices import write_throttle
from cookieproj.devices.models import RefusedSession, SignedInSession
from cookieproj.devices.refused_sessions import refuse
from demo.models import User
from tests.browsers import is_in, row_of
from tests.conftest import connected, copied, new_database

TABLES = ("signedinsession", "refusedsession")


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    settings: Settings,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[None]:
    if request.param == "sqlite":
        url = copied(request.getfixturevalue("demo_database"), tmp_path)
    else:
        url = new_database(request.getfixturevalue(f"{request.param}_url"), f"moved_{uuid4().hex}")
    settings.SESSION_ENGINE = "cookieproj.engines.db"
    with django_db_blocker.unblock(), connected(url):
        call_command("migrate", verbosity=0)
        yield


LATER_COLUMNS = {"bound_at", "bound_by"}


def contents(app: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of that app's tables, with the present names of the columns that both apps have."""
    tables = {}
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT * FROM {app}_{table} ORDER BY id")
            names = [
                {"session_key": "sealed_key"}.get(each[0], each[0]) for each in cursor.description
            ]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            tables[table] = [
                {name: row[name] for name in row if name not in LATER_COLUMNS} for row in rows
            ]
    return tables


def permissions_of(user: User) -> set[str]:
    return User.objects.get(pk=user.pk).get_user_permissions()


@pytest.fixture
def signed_in(database: None) -> Iterator[tuple[User, list[Client]]]:
    """A user on two devices, who has a permission and an entry in the admin's log."""
    SignedInSession.objects.all().forget()
    user = User.objects.create_user("keeper")
    clients = [Client(), Client()]
    for client in clients:
        client.force_login(user)
    refuse(str(uuid4()), row_of(clients[0]).expires)
    user.user_permissions.add(
        Permission.objects.get(codename="view_signedinsession"),
    )
    kind = ContentType.objects.get_for_model(SignedInSession)
    LogEntry.objects.create(
        user=user, content_type=kind, object_id="1", object_repr="x", action_flag=CHANGE
    )
    yield user, clients
    ContentType.objects.clear_cache()


SignedIn = tuple[User, list[Client]]


def migrate_demo(name: str) -> None:
    call_command("migrate", "demo", name, verbosity=0)
    ContentType.objects.clear_cache()
    write_throttle.recent_writes.clear()


def log_labels() -> list[str]:
    return list(LogEntry.objects.values_list("content_type__app_label", flat=True))


def test_migrating_back_and_forth_restores_the_registry(signed_in: SignedIn) -> None:
    user, clients = signed_in
    before = contents("cookieproj_devices")
    assert [len(before[table]) for table in TABLES] == [2, 1]
    migrate_demo("0005")
    assert contents("demo") == before
    assert contents("cookieproj_devices") == {table: [] for table in TABLES}
    assert permissions_of(user) == {"demo.view_signedinsession"}
    assert log_labels() == ["demo"]
    migrate_demo("0006")
    assert contents("cookieproj_devices") == before
    assert "demo_signedinsession" not in connection.introspection.table_names()
    assert permissions_of(user) == {"cookieproj_devices.view_signedinsession"}
    assert log_labels() == ["cookieproj_devices"]
    assert all(map(is_in, clients))


def test_rows_written_between_migrations_do_not_conflict(signed_in: SignedIn) -> None:
    """A site that runs during the migration writes the rows of sessions in use again."""
    _user, clients = signed_in
    before = SignedInSession.objects.in_bulk()
    refused = RefusedSession.objects.get()
    migrate_demo("0005")
    assert is_in(clients[0])
    refuse(str(refused.pk), refused.until)
    [written] = SignedInSession.objects.all()
    assert written == row_of(clients[0])
    migrate_demo("0006")
    assert SignedInSession.objects.in_bulk() == before
    assert RefusedSession.objects.get().until > refused.until
    assert all(map(is_in, clients))


def test_migrating_app_to_zero_moves_the_registry_back(signed_in: SignedIn) -> None:
    _user, clients = signed_in
    before = contents("cookieproj_devices")
    call_command("migrate", "cookieproj_devices", "zero", verbosity=0)
    assert contents("demo") == before
    call_command("migrate", verbosity=0)
    assert contents("cookieproj_devices") == before
    assert all(map(is_in, clients))
