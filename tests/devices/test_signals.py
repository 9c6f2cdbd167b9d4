"""The app's signals, and the log lines with which an incident is investigated."""

import pytest
from django.test import Client

from cookieproj.devices.event_log import logger
from cookieproj.devices.signing_out import sign_out_everywhere
from demo.models import User
from tests.browsers import IPHONE, browser, key_of, row_of

from .conftest import SentSignals

pytestmark = pytest.mark.django_db(transaction=True)


def ids(*clients: Client) -> list[str]:
    return [str(row_of(client).pk) for client in clients]


def test_sign_in_and_sign_out_send_signals(
    profile: str, ada: User, sent_signals: SentSignals
) -> None:
    client = browser(ada)
    [row] = ids(client)
    client.post("/auth/sign-out/")
    assert sent_signals == [("started", row), ("signed out", row)]


def test_signing_out_another_device_sends_signal(
    profile: str, ada: User, sent_signals: SentSignals
) -> None:
    client, other = browser(ada), browser(ada, IPHONE)
    [_this, row] = ids(client, other)
    sent_signals.clear()
    client.post(f"/devices/{row}/sign-out/")
    assert sent_signals == [("ended", row)]


def test_signing_out_others_and_everywhere_sends_signals(
    profile: str, ada: User, sent_signals: SentSignals
) -> None:
    clients = [browser(ada) for _ in range(3)]
    rows = ids(*clients)
    sent_signals.clear()
    clients[0].post("/devices/sign-out-others/")
    assert sorted(sent_signals) == sorted(("signed out everywhere", row) for row in rows[1:])
    sent_signals.clear()
    sign_out_everywhere(User.objects.get(username="ada"))
    assert sent_signals == [("signed out everywhere", rows[0])]


def test_password_change_sends_signal_for_each_session(
    profile: str, ada: User, sent_signals: SentSignals
) -> None:
    rows = ids(browser(ada), browser(ada))
    sent_signals.clear()
    ada.set_password("another")
    ada.save()
    assert sorted(sent_signals) == sorted(("password changed", row) for row in rows)


def test_failed_sign_in_sends_signal_and_is_logged_without_password(
    profile: str, ada: User, sent_signals: SentSignals, caplog: pytest.LogCaptureFixture
) -> None:
    form = {"username": "ada", "password": "the wrong one"}
    Client(REMOTE_ADDR="203.0.113.9").post("/auth/sign-in/", form)
    assert sent_signals == [("failed", "ada")]
    [record] = caplog.records
    assert record.getMessage() == "sign_in_failed address='203.0.113.9'"
    assert "the wrong one" not in str(vars(record))


def test_log_lines_name_user_session_device_and_address_but_no_key(
    profile: str, ada: User, sent_signals: SentSignals, caplog: pytest.LogCaptureFixture
) -> None:
    client = browser(ada, IPHONE, "198.51.100.7")
    key, row = key_of(client), row_of(client)
    client.post("/auth/sign-out/")
    details = (
        f"user='{ada.pk}' session='{row.pk}' device='Mobile Safari on iOS' address='198.51.100.7'"
    )
    lines = [record.getMessage() for record in caplog.records if record.name == logger.name]
    assert lines == [f"session_started {details}", f"session_ended {details} reason='signed out'"]
    fields = [vars(record) for record in caplog.records if record.name == logger.name]
    assert [each["event"] for each in fields] == ["session_started", "session_ended"]
    assert {each["session"] for each in fields} == {str(row.pk)}
    assert key not in str(fields)
