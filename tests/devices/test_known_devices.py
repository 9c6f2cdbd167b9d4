"""Sign-ins from devices that a user has not used before."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.core import mail
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch
from django.utils import timezone
from pytest_django import Settings

from cookieproj.devices import known_devices
from cookieproj.devices.models import KnownDevice, SignedInSession
from cookieproj.devices.signals import signed_in_from_new_device
from demo.models import User
from tests.browsers import IPHONE, browser, row_of
from tests.conftest import on
from tests.mailers import use_mailer

pytestmark = pytest.mark.django_db(transaction=True)

FORM = {"username": "ada", "password": "cookies"}
SIGN_IN = "/auth/sign-in/"


@pytest.fixture
def new_devices() -> Iterator[list[SignedInSession]]:
    """The sessions that the signal was sent for."""
    sessions: list[SignedInSession] = []

    def receive(session: SignedInSession, request: Any, **kwargs: Any) -> None:
        assert request.path == SIGN_IN
        sessions.append(session)

    signed_in_from_new_device.connect(receive)
    yield sessions
    signed_in_from_new_device.disconnect(receive)


def sign_in(client: Client, name: str = "ada") -> None:
    assert client.post(SIGN_IN, FORM | {"username": name}).status_code == 302


def sign_out(client: Client) -> None:
    assert client.post("/auth/sign-out/").status_code == 302


def test_only_a_sign_in_on_another_device_is_new(
    profile: str, ada: User, new_devices: list[SignedInSession]
) -> None:
    first, second = browser(ada), browser()
    assert new_devices == []
    sign_out(first)
    sign_in(first)
    assert new_devices == []
    sign_in(second)
    assert [str(session.pk) for session in new_devices] == [str(row_of(second).pk)]
    sign_out(second)
    sign_in(second)
    assert len(new_devices) == 1
    assert KnownDevice.objects.count() == 2


@on("db")
@pytest.mark.parametrize("cookie", ["", "made-up", "made:up", None])
def test_device_without_a_cookie_of_this_site_is_new(
    cookie: str | None, profile: str, ada: User, new_devices: list[SignedInSession]
) -> None:
    client = browser(ada)
    sign_out(client)
    if cookie is None:
        del client.cookies["known_device"]
    else:
        client.cookies["known_device"] = cookie or f"{client.cookies['known_device'].value}x"
    sent = client.cookies["known_device"].value if cookie is not None else None
    sign_in(client)
    assert len(new_devices) == 1
    assert client.cookies["known_device"].value != sent
    sign_out(client)
    sign_in(client)
    assert len(new_devices) == 1


@on("db")
def test_users_of_one_device_share_its_cookie_and_no_row(
    profile: str, ada: User, admin: User, new_devices: list[SignedInSession]
) -> None:
    client = browser(ada)
    cookie = client.cookies["known_device"].value
    sign_out(client)
    sign_in(client, "admin")
    assert client.cookies["known_device"].value == cookie
    assert new_devices == []
    digests = KnownDevice.objects.values_list("digest", flat=True)
    assert len(set(digests)) == 2
    assert not any(digest in cookie for digest in digests)


@on("db")
@pytest.mark.parametrize(
    ("is_secure", "folder", "name"),
    [
        (False, "/", "known_device"),
        (True, "/", "__Host-known_device"),
        (True, "/site/", "__Secure-known_device"),
    ],
)
def test_cookie_stays_400_days_and_is_as_safe_as_the_sessions(
    is_secure: bool,
    folder: str,
    name: str,
    profile: str,
    settings: Settings,
    ada: User,
    new_devices: list[SignedInSession],
) -> None:
    settings.SESSION_COOKIE_SECURE, settings.SESSION_COOKIE_PATH = is_secure, folder
    cookie = browser(ada).cookies[name]
    attributes = {key: value for key, value in cookie.items() if value and key != "expires"}
    assert attributes == {
        "max-age": 400 * 24 * 60 * 60,
        "path": folder,
        "samesite": "Lax",
        "httponly": True,
    } | ({"secure": True} if is_secure else {})


@on("db")
def test_nothing_is_kept_if_nobody_wants_to_know(profile: str, ada: User) -> None:
    client = browser()
    with CaptureQueriesContext(connection) as captured:
        sign_in(client)
    assert "known_device" not in client.cookies
    assert not [query for query in captured if KnownDevice._meta.db_table in query["sql"]]


@on("db")
def test_device_is_known_until_400_days_after_its_last_use(
    profile: str, ada: User, new_devices: list[SignedInSession]
) -> None:
    client = browser(ada)
    with time_machine.travel(timezone.now() + timedelta(days=300)):
        sign_in(client)
    with time_machine.travel(timezone.now() + timedelta(days=600)):
        call_command("clearsessions")
        assert KnownDevice.objects.exists()
    with time_machine.travel(timezone.now() + timedelta(days=701)):
        call_command("clearsessions")
        assert not KnownDevice.objects.exists()


@on("db")
def test_devices_not_used_for_longest_are_forgotten(
    profile: str,
    ada: User,
    admin: User,
    new_devices: list[SignedInSession],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(known_devices, "MAX_KNOWN_DEVICES", 2)
    browser(admin)
    clients = [browser(ada) for _ in range(3)]
    assert KnownDevice.objects.filter(user=ada).count() == 2
    for client in clients[::-1]:
        sign_out(client)
        new_devices.clear()
        sign_in(client)
        assert bool(new_devices) == (client is clients[0])
    ada.delete()
    assert KnownDevice.objects.get().user == admin


@on("db")
def test_signal_is_sent_when_the_transaction_commits(
    profile: str, ada: User, new_devices: list[SignedInSession]
) -> None:
    browser(ada)
    client = browser()
    with transaction.atomic():
        sign_in(client)
        assert new_devices == []
        transaction.set_rollback(True)
    assert new_devices == []
    assert KnownDevice.objects.count() == 1


@pytest.fixture
def email(settings: Settings, ada: User) -> None:
    use_mailer(settings)
    settings.DEVICES_NEW_DEVICE_EMAIL = True
    User.objects.filter(pk=ada.pk).update(email="ada@example.com")


@on("db", "signed_cookies")
def test_email_names_the_device(profile: str, ada: User, email: None) -> None:
    browser(ada)
    assert mail.outbox == []
    browser(ada, IPHONE, "198.51.100.7")
    [message] = mail.outbox
    assert message.to == ["ada@example.com"]
    assert message.subject == "New sign-in at testserver"
    for text in ("ada", "Mobile Safari on iOS", "198.51.100.7", "http://testserver/devices/"):
        assert text in message.body
    assert str(timezone.now().year) in message.body


@on("db")
def test_force_login_of_tests_sends_no_email(
    profile: str, ada: User, email: None, caplog: pytest.LogCaptureFixture
) -> None:
    for _device in range(2):
        Client().force_login(ada)
    assert mail.outbox == []
    assert "was not sent" not in caplog.text


def test_email_has_no_link_without_the_page(
    profile: str, ada: User, email: None, settings: Settings
) -> None:
    browser(ada)
    client = browser()
    with mock.patch("cookieproj.devices.emails.reverse", side_effect=NoReverseMatch):
        sign_in(client)
    [message] = mail.outbox
    assert "http" not in message.body
    assert "change your password" in message.body


@on("db")
@pytest.mark.parametrize("backend", ["nothing", f"{__name__}.Failing"])
def test_email_that_cannot_be_sent_is_logged(
    backend: str,
    profile: str,
    ada: User,
    email: None,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    browser(ada)
    use_mailer(settings, backend)
    with caplog.at_level(logging.ERROR):
        browser(ada)
    [record] = caplog.records
    assert record.name == "cookieproj.devices.emails"
    assert "ada@example.com" not in caplog.text


class Failing:
    def __init__(self, *arguments: Any, **options: Any) -> None: ...

    def send_messages(self, messages: list[Any]) -> int:
        raise ConnectionRefusedError


@on("db")
def test_user_without_an_address_gets_no_email(profile: str, ada: User, settings: Settings) -> None:
    settings.DEVICES_NEW_DEVICE_EMAIL = True
    browser(ada)
    browser(ada)
    assert mail.outbox == []
    assert KnownDevice.objects.count() == 2
