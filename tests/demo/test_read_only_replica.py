"""A site that reads from a replica which takes no writes, or is unreachable.

It is a PostgreSQL here; what ``replicated`` runs once more is on SQLite.
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
    """What is written is read over another connection, to which the server allows no more."""
    with connected(stores["DATABASE_URL"]):
        options = connection.settings_dict["OPTIONS"]
        no_writes = options | {"options": "-c default_transaction_read_only=on"}
        with read_from(settings, OPTIONS=no_writes):
            User.objects.update(password=make_password("cookies"))
            SignedInSession.objects.all().forget()
            yield


@pytest.mark.django_db(transaction=True)
@on("db", "cache", *COOKIE_ENGINES)
def test_a_replica_that_takes_no_writes_is_asked_for_none(
    profile: str, read_only_postgresql: None
) -> None:
    ada, admin = (User.objects.get(username=name) for name in ("ada", "admin"))
    with pytest.raises(InternalError, match="read-only transaction"):
        User.objects.using("replica").update(first_name="Ada")
    client, first, second, third = browser(admin), *(browser(ada, IPHONE) for _ in range(3))
    assert first.post("/auth/sign-out/").status_code == 302
    assert second.post(address_of(third)).status_code == 302
    assert second.post(OTHERS).status_code == 302
    assert [is_in(each) for each in (first, second, third)] == [False, True, False]
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
def test_a_replica_that_is_unreachable_is_the_one_that_is_named(
    profile: str, on_file: Path, ada: User, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """The rights of a member of staff are read there."""
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
