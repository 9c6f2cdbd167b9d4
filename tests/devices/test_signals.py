"""What a site hears of its sessions, and the lines in the log that an incident is told by."""

import pytest
from django.test import Client

from cookieproj.devices.event_log import logger
from cookieproj.devices.signing_out import sign_out_everywhere
from demo.models import User
from tests.browsers import IPHONE, browser, key_of, row_of

from .conftest import Heard, told

pytestmark = pytest.mark.django_db(transaction=True)


def ids(*clients: Client) -> list[str]:
    return [str(row_of(client).pk) for client in clients]


def test_a_sign_in_and_a_sign_out(profile: str, ada: User, heard: Heard) -> None:
    client = browser(ada)
    [row] = ids(client)
    client.post("/auth/sign-out/")
    assert told(heard) == [("started", row), ("signed out", row)]


def test_one_device_ends_another(profile: str, ada: User, heard: Heard) -> None:
    client, other = browser(ada), browser(ada, IPHONE)
    [_this, row] = ids(client, other)
    heard.clear()
    client.post(f"/devices/{row}/sign-out/")
    assert told(heard) == [("ended", row)]


def test_all_others_are_signed_out(profile: str, ada: User, heard: Heard) -> None:
    clients = [browser(ada) for _ in range(3)]
    rows = ids(*clients)
    heard.clear()
    clients[0].post("/devices/sign-out-others/")
    assert sorted(told(heard)) == sorted(("signed out everywhere", row) for row in rows[1:])
    heard.clear()
    sign_out_everywhere(User.objects.get(username="ada"))
    assert told(heard) == [("signed out everywhere", rows[0])]


def test_another_password_ends_them_all(profile: str, ada: User, heard: Heard) -> None:
    rows = ids(browser(ada), browser(ada))
    heard.clear()
    ada.set_password("another")
    ada.save()
    assert sorted(told(heard)) == sorted(("password changed", row) for row in rows)


def test_who_may_not_sign_in(
    profile: str, ada: User, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    form = {"username": "ada", "password": "the wrong one"}
    Client(REMOTE_ADDR="203.0.113.9").post("/auth/sign-in/", form)
    assert heard == [("failed", "ada")]
    [record] = caplog.records
    assert record.getMessage() == "sign_in_failed address='203.0.113.9'"
    assert "the wrong one" not in str(vars(record))


def test_the_lines_of_an_incident(
    profile: str, ada: User, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    client = browser(ada, IPHONE, "198.51.100.7")
    key, row = key_of(client), row_of(client)
    client.post("/auth/sign-out/")
    who = f"user='{ada.pk}' session='{row.pk}' device='Mobile Safari on iOS' address='198.51.100.7'"
    lines = [record.getMessage() for record in caplog.records if record.name == logger.name]
    assert lines == [f"session_started {who}", f"session_ended {who} reason='signed out'"]
    facts = [vars(record) for record in caplog.records if record.name == logger.name]
    assert [each["event"] for each in facts] == ["session_started", "session_ended"]
    assert {each["session"] for each in facts} == {str(row.pk)}
    assert key not in str(facts)
