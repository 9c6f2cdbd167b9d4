"""The registry moves to the tables of this app and back again, with all that is in it."""

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


def contents(app: str) -> dict[str, list[dict[str, Any]]]:
    """What stands in the tables of that app, by columns as they are called now."""
    found = {}
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT * FROM {app}_{table} ORDER BY id")
            names = [
                {"session_key": "sealed_key"}.get(each[0], each[0]) for each in cursor.description
            ]
            found[table] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return found


def granted(user: User) -> set[str]:
    return User.objects.get(pk=user.pk).get_user_permissions()


@pytest.fixture
def signed_in(database: None) -> Iterator[tuple[User, list[Client]]]:
    """Somebody on two devices, with a permission and an entry in the admin's log about them."""
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


Moved = tuple[User, list[Client]]


def go(name: str) -> None:
    call_command("migrate", "demo", name, verbosity=0)
    ContentType.objects.clear_cache()
    write_throttle.recent_writes.clear()


def log_labels() -> list[str]:
    return list(LogEntry.objects.values_list("content_type__app_label", flat=True))


def test_backwards_all_is_as_it_was_and_forwards_again(signed_in: Moved) -> None:
    user, clients = signed_in
    before = contents("cookieproj_devices")
    assert [len(before[table]) for table in TABLES] == [2, 1]
    go("0005")
    assert contents("demo") == before
    assert contents("cookieproj_devices") == {table: [] for table in TABLES}
    assert granted(user) == {"demo.view_signedinsession"}
    assert log_labels() == ["demo"]
    go("0006")
    assert contents("cookieproj_devices") == before
    assert "demo_signedinsession" not in connection.introspection.table_names()
    assert granted(user) == {"cookieproj_devices.view_signedinsession"}
    assert log_labels() == ["cookieproj_devices"]
    assert all(map(is_in, clients))


def test_what_this_app_writes_meanwhile_stands_in_nobodys_way(signed_in: Moved) -> None:
    """A site that is not stopped for it writes its rows again as sessions are used."""
    _user, clients = signed_in
    before = SignedInSession.objects.in_bulk()
    refused = RefusedSession.objects.get()
    go("0005")
    assert is_in(clients[0])
    refuse(str(refused.pk), refused.until)
    [written] = SignedInSession.objects.all()
    assert written == row_of(clients[0])
    go("0006")
    assert SignedInSession.objects.in_bulk() == before
    assert RefusedSession.objects.get().until > refused.until
    assert all(map(is_in, clients))


def test_zero_brings_them_back_too(signed_in: Moved) -> None:
    _user, clients = signed_in
    before = contents("cookieproj_devices")
    call_command("migrate", "cookieproj_devices", "zero", verbosity=0)
    assert contents("demo") == before
    call_command("migrate", verbosity=0)
    assert contents("cookieproj_devices") == before
    assert all(map(is_in, clients))
