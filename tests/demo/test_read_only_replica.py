"""A site that reads from a replica that is read-only or unreachable.

This is on PostgreSQL; the tests in ``replicated`` are on SQLite.
"""

from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.db import InternalError, connection
from django.utils import timezone
from pytest_django import Settings

from cookieproj.devices.models import SignedInSession
from demo.models import User
from tests.browsers import IPHONE, browser, is_in, row_of
from tests.conftest import connected, on
from tests.devices.test_your_devices import OTHERS, address_of
from tests.families import COOKIE_ENGINES
from tests.replicas import read_from, sqlite

from .test_admin import DEVICES, SIGNED_IN, STORE, STORED, USERS


@pytest.fixture
def read_only_postgresql(stores: dict[str, str], db: None, settings: Settings) -> Iterator[None]:
    """Read over another connection, which the server makes read-only."""
    with connected(stores["DATABASE_URL"]):
        options = connection.settings_dict["OPTIONS"]
        read_only = options | {"options": "-c default_transaction_read_only=on"}
        with read_from(settings, OPTIONS=read_only):
            User.objects.update(password=make_password("cookies"))
            SignedInSession.objects.all().forget()
            yield


@pytest.mark.django_db(transaction=True)
@on("db", "cache", *COOKIE_ENGINES)
def test_no_write_goes_to_read_only_replica(profile: str, read_only_postgresql: None) -> None:
    ada, admin = (User.objects.get(username=name) for name in ("ada", "admin"))
    with pytest.raises(InternalError, match="read-only transaction"):
        User.objects.using("replica").update(first_name="Ada")
    client, first, second, third = browser(admin), *(browser(ada, IPHONE) for _ in range(3))
    assert first.post("/auth/sign-out/").status_code == 302
    assert second.post(address_of(third)).status_code == 302
    assert second.post(OTHERS).status_code == 302
    assert [is_in(device) for device in (first, second, third)] == [False, True, False]
    assert "Mobile Safari" in second.get("/devices/").text
    for path in (SIGNED_IN, STORED, USERS, STORE, DEVICES):
        assert client.get(path).status_code == 200
    form = {"action": "delete_selected", "_selected_action": [row_of(second).pk], "post": "yes"}
    assert client.post("/admin/cookieproj_devices/signedinsession/", form).status_code == 302
    assert not is_in(second)
    SignedInSession.objects.update(expires=timezone.now() - timedelta(days=1))
    call_command("clearsessions", verbosity=0)
    assert not SignedInSession.objects.exists()
    call_command("signout", "admin", verbosity=0, stdout=StringIO())
    assert not is_in(client)


@on("cache")
def test_unreachable_replica_is_503_and_named_in_log(
    profile: str,
    database_file: Path,
    ada: User,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The permissions of staff are read from the replica."""
    ada.is_staff = True
    ada.save()
    client = browser(ada)
    client.raise_request_exception = False
    with read_from(settings, **sqlite("/no/folder/replica.sqlite3")):
        assert is_in(client)
        response = client.get("/admin/")
        client.post("/auth/sign-out/")
        assert not is_in(client)
    assert response.status_code == 503
    assert "reload the page" in response.text
    assert "SQLite /no/folder/replica.sqlite3" in caplog.records[-1].getMessage()
    assert not any(record.exc_info for record in caplog.records)
