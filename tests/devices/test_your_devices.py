"""The page of a user's devices, and signing out one or all of them, on every profile."""

from io import StringIO
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.backends.base import SessionBase
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from cookieproj.devices import stored_sessions
from cookieproj.devices.management.commands import signout
from cookieproj.devices.models import SignedInSession
from cookieproj.devices.signing_out import sign_out_everywhere
from cookieproj.engines.exceptions import StoreUnavailableError
from demo.models import User
from tests.browsers import IPHONE, browser, is_in, key_of, row_of
from tests.conftest import on
from tests.families import IN_COOKIES

OTHERS = "/devices/sign-out-others/"


def address_of(client: Client) -> str:
    return f"/devices/{row_of(client).pk}/sign-out/"


def output_of(*command: str) -> str:
    out = StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


def test_page_lists_only_the_users_devices_and_marks_this_one(
    profile: str, ada: User, admin: User
) -> None:
    browser(admin, address="203.0.113.5")
    browser(ada, IPHONE, "198.51.100.7")
    client = browser(ada)
    page = client.get("/devices/").content.decode()
    first, second = page.split("<li")[-2:]
    assert "Firefox on Linux" in first
    assert "this device" in first
    assert "Mobile Safari on iOS" in second
    assert "198.51.100.7" in second
    assert "this device" not in second
    assert "203.0.113.5" not in page
    assert key_of(client) not in page


def test_this_device_is_listed_first(profile: str, ada: User) -> None:
    clients = [browser(ada), browser(ada, IPHONE)]
    for client in clients:
        first, second = client.get("/devices/").content.decode().split("<li")[-2:]
        assert "this device" in first
        assert "this device" not in second


@on("db")
def test_page_lists_only_the_devices_seen_last(
    profile: str, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        browser(ada, address=f"198.51.100.{number}")
    client = browser(ada)
    assert "seen last" not in client.get("/devices/").content.decode()
    monkeypatch.setattr("cookieproj.devices.signing_out.MAX_DEVICES_LISTED", 3)
    page = client.get("/devices/").content.decode()
    shown = [number for number in range(5) if f">198.51.100.{number}<" in page]
    assert shown == [3, 4]
    assert "These are the 3 devices seen last." in page
    assert "this device" in page


def test_signed_out_user_is_redirected_to_sign_in(profile: str) -> None:
    client = browser()
    for response in (client.get("/devices/"), client.post(OTHERS)):
        assert response.headers["Location"].startswith("/auth/sign-in/?next=/devices/")


def test_signing_out_another_device_ends_its_session(profile: str, ada: User) -> None:
    client, other, third = browser(ada), browser(ada, IPHONE), browser(ada)
    other.post("/sessions/set-item/")
    page = client.post(address_of(other), follow=True).content.decode()
    assert "Mobile Safari on iOS is signed out." in page
    assert other.get("/sessions/get/").content.decode() == "color is none\n"
    assert not is_in(other)
    assert is_in(client)
    assert is_in(third)


def test_device_can_sign_out_itself(profile: str, ada: User) -> None:
    client, other = browser(ada), browser(ada)
    client.post(address_of(client))
    assert not is_in(client)
    assert is_in(other)


def test_devices_of_other_users_cannot_be_signed_out(profile: str, ada: User, admin: User) -> None:
    client, theirs = browser(ada), browser(admin)
    before = LogEntry.objects.count()
    client.post(address_of(theirs))
    client.post(f"/devices/{uuid4()}/sign-out/")
    assert client.post("/devices/1/sign-out/").status_code == 404
    assert is_in(theirs)
    assert LogEntry.objects.count() == before


def test_get_request_signs_out_nobody(profile: str, ada: User) -> None:
    client, other = browser(ada), browser(ada)
    client.get(address_of(other))
    client.get(OTHERS)
    assert is_in(other)


def test_post_without_csrf_token_signs_out_nobody(profile: str, ada: User) -> None:
    client, other = browser(ada), browser(ada)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    assert strict.post(address_of(other)).status_code == 403
    assert strict.post(OTHERS).status_code == 403
    assert is_in(other)


def test_sign_out_others_keeps_this_device(profile: str, ada: User, admin: User) -> None:
    client = browser(ada)
    others = [browser(ada), browser(ada, IPHONE)]
    theirs = browser(admin)
    before = row_of(client)
    page = client.post(OTHERS, follow=True).content.decode()
    assert "2 devices are signed out." in page
    assert [is_in(other) for other in others] == [False, False]
    assert is_in(client)
    assert is_in(theirs)
    assert row_of(client) == before
    assert list(ada.signed_in_sessions.all()) == [before]


def test_sign_out_others_ends_session_without_row(profile: str, ada: User) -> None:
    client, other = browser(ada), browser(ada)
    row_of(other).__class__.objects.filter(pk=row_of(other).pk).forget()
    client.post(OTHERS)
    assert not is_in(other)


def test_sign_outs_are_in_the_admins_log_without_key(profile: str, ada: User) -> None:
    client, other, third = browser(ada), browser(ada, IPHONE), browser(ada)
    key = key_of(other)
    client.post(address_of(other))
    entry = LogEntry.objects.get()
    assert (entry.user, entry.is_deletion()) == (ada, True)
    assert entry.object_repr == "ada, Mobile Safari on iOS, 192.0.2.1"
    assert entry.change_message == "Signed out by its user."
    client.post(OTHERS)
    entry = LogEntry.objects.latest("pk")
    assert (entry.object_repr, entry.change_message) == ("ada", "Signed out everywhere.")
    assert not is_in(third)
    assert key not in str([vars(entry) for entry in LogEntry.objects.all()])


def test_session_missing_from_store_is_not_listed(
    profile: str, store: type[SessionBase], ada: User
) -> None:
    client, other = browser(ada), browser(ada, IPHONE)
    if profile in IN_COOKIES:
        other.post("/auth/sign-out/")
    else:
        store().delete(key_of(other))
    page = client.get("/devices/").content.decode()
    assert "Mobile Safari" not in page
    assert SignedInSession.objects.count() == 1


def test_session_ended_by_password_change_is_not_listed(profile: str, ada: User) -> None:
    browser(ada, IPHONE)
    ada.set_password("cookies")
    ada.save()
    assert "Mobile Safari" not in browser(ada).get("/devices/").content.decode()


@on("db")
def test_session_of_other_engine_is_not_listed(profile: str, ada: User) -> None:
    client, other = browser(ada), browser(ada, IPHONE)
    SignedInSession.objects.filter(pk=row_of(other).pk).update(engine="cache")
    assert "Mobile Safari" not in client.get("/devices/").content.decode()
    # It may run again, so the row stays.
    assert SignedInSession.objects.count() == 2


@pytest.mark.parametrize("storage", ["fallback.FallbackStorage", "session.SessionStorage"])
def test_signing_out_this_device_leads_to_the_sign_in_page_which_says_so(
    storage: str, profile: str, settings: Settings, ada: User
) -> None:
    settings.MESSAGE_STORAGE = f"django.contrib.messages.storage.{storage}"
    client = browser(ada)
    response = client.post(address_of(client), follow=True)
    assert response.request["PATH_INFO"] == "/auth/sign-in/"
    assert "You are signed out on this device." in response.text
    assert not is_in(client)
    assert "You are signed out" not in client.get("/auth/sign-in/").text


@on("db")
@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("previous", ["", "file"])
def test_sessions_of_an_engine_that_the_site_has_left_are_ended_and_not_counted(
    previous: str, counts: bool, profile: str, settings: Settings, ada: User
) -> None:
    """In a handover the site has not left it: its sessions count."""
    client, other, left = browser(ada), browser(ada), browser(ada)
    SignedInSession.objects.filter(pk=row_of(left).pk).update(engine="file")
    settings.SESSION_HANDOVER_FROM = previous
    with mock.patch("cookieproj.devices.signing_out.counts_sign_outs", return_value=counts):
        text = client.post("/auth/one-device-only/").text
    assert text == ("2 devices are signed out.\n" if previous else "1 device is signed out.\n")
    assert not is_in(other)
    assert SignedInSession.objects.get() == row_of(client)


@on("cache", "file", "db")
def test_signing_out_one_device_is_503_while_store_is_unreachable(profile: str, ada: User) -> None:
    client, other = browser(ada), browser(ada)
    error = StoreUnavailableError("store", "unreachable")
    url = address_of(other)
    with mock.patch("cookieproj.devices.stored_sessions.delete_stored_session", side_effect=error):
        assert client.post(url).status_code == 503
    assert is_in(other)
    assert SignedInSession.objects.count() == 2
    assert not LogEntry.objects.exists()


def test_sign_out_everywhere_works_while_store_is_unreachable(
    profile: str, ada: User, caplog: pytest.LogCaptureFixture
) -> None:
    clients = [browser(ada) for _ in range(3)]
    error = StoreUnavailableError("store", "unreachable")
    with mock.patch(
        "cookieproj.devices.stored_sessions.delete_stored_session", side_effect=error
    ) as delete:
        assert sign_out_everywhere(ada) == 3
    assert [is_in(client) for client in clients] == [False] * 3
    assert not SignedInSession.objects.exists()
    if profile not in IN_COOKIES:
        # Only tried once, since each try would wait for a time-out.
        assert delete.call_count == 1
        assert "stay stored until they expire. The session store is unavailable" in caplog.text


def test_saving_outdated_user_object_does_not_reset_the_counter(profile: str, ada: User) -> None:
    outdated, client = User.objects.get(), browser(ada)
    with mock.patch("cookieproj.devices.signing_out.delete_stored"):
        # The stored session remains, as with an unreachable store.
        sign_out_everywhere(ada)
    later_client = browser(ada)
    outdated.first_name = "Ada"
    outdated.save()
    assert User.objects.get().sign_outs == 1
    assert not is_in(client)
    assert is_in(later_client)


def test_counter_of_new_user_is_zero(ada: User) -> None:
    assert User.objects.get().sign_outs == 0


@on("db")
def test_sign_out_everywhere_counts_only_live_sessions(profile: str, ada: User) -> None:
    browser(ada)
    ada.set_password("cookies")
    ada.save()
    browser(ada)
    assert sign_out_everywhere(ada) == 1


@on("db")
def test_row_that_gets_another_key_while_devices_are_listed_is_kept(
    profile: str, store: type[SessionBase], ada: User
) -> None:
    client, other = browser(ada), browser(ada)
    row = row_of(other)
    store().delete(key_of(other))
    rows_with_session = stored_sessions.rows_with_session

    def change_key_afterwards(rows: Any) -> Any:
        with_session = rows_with_session(rows)
        SignedInSession.objects.filter(pk=row.pk).update(sealed_key="another")
        return with_session

    with mock.patch.object(stored_sessions, "rows_with_session", change_key_afterwards):
        client.get("/devices/")
    assert row in SignedInSession.objects.all()


def test_page_forbids_caching(profile: str, ada: User) -> None:
    assert "no-store" in browser(ada).get("/devices/").headers["Cache-Control"]


def test_session_hash_is_djangos_until_first_sign_out_everywhere(ada: User) -> None:
    djangos = super(User, ada).get_session_auth_hash()
    assert ada.get_session_auth_hash() == djangos
    ada.sign_outs = 1
    first = ada.get_session_auth_hash()
    ada.sign_outs = 2
    assert len({djangos, first, ada.get_session_auth_hash()}) == 3


def test_rotated_secret_key_ends_no_session_of_user_with_counter(
    profile: str, ada: User, settings: Settings
) -> None:
    sign_out_everywhere(ada)
    client = browser(ada)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    assert is_in(client)


def test_counter_costs_no_additional_query(profile: str, ada: User) -> None:
    def queries() -> int:
        client = browser(ada)
        with CaptureQueriesContext(connection) as captured:
            client.get("/auth/account/")
        return len(captured)

    before = queries()
    sign_out_everywhere(ada)
    ada.refresh_from_db()
    assert queries() == before


def test_signout_command_signs_out_user_everywhere(profile: str, ada: User, admin: User) -> None:
    clients, theirs = [browser(ada), browser(ada)], browser(admin)
    assert output_of("signout", "ada") == "ada is signed out everywhere; 2 sessions known.\n"
    assert [is_in(client) for client in clients] == [False, False]
    assert is_in(theirs)
    assert LogEntry.objects.get().change_message == "Signed out everywhere by manage.py."
    assert output_of("signout", "ada") == "ada is signed out everywhere; 0 sessions known.\n"


def test_signout_command_accepts_several_users_and_repeated_ones(
    profile: str, ada: User, admin: User
) -> None:
    clients = [browser(ada), browser(admin)]
    lines = output_of("signout", "ada", "admin", "ada").splitlines()
    assert len(lines) == 2
    assert [is_in(client) for client in clients] == [False, False]


def test_signout_command_with_unknown_user_signs_out_nobody(profile: str, ada: User) -> None:
    client = browser(ada)
    with pytest.raises(CommandError, match=r"There is no user 'nobody'\. Nobody is signed out\."):
        output_of("signout", "ada", "nobody")
    assert is_in(client)


def test_signout_command_without_database_is_a_one_line_error(ada: User) -> None:
    with (
        mock.patch(f"{signout.__name__}.find_by_name", side_effect=OperationalError("x")),
        pytest.raises(CommandError, match="Could not sign out: x"),
    ):
        output_of("signout", "ada")


def test_page_offers_no_sign_out_of_one_device_on_djangos_signed_cookies(
    ada: User, settings: Settings
) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    client, other = browser(ada), browser(ada, IPHONE)
    page = client.get("/devices/").content.decode()
    assert "the server cannot end a single one" in page
    assert address_of(other) not in page
    assert address_of(client) in page
    page_after_post = client.post(address_of(other), follow=True).content.decode()
    assert "is signed out" not in page_after_post
    assert is_in(other)
    assert SignedInSession.objects.count() == 2
    client.post(OTHERS)
    assert not is_in(other)
    assert is_in(client)


@on("db", "cached_db", "cache", "file")
def test_devices_can_be_signed_out_on_djangos_engines(
    profile: str, ada: User, settings: Settings
) -> None:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{profile}"
    client, other, third = browser(ada), browser(ada, IPHONE), browser(ada)
    assert "Mobile Safari" in client.get("/devices/").content.decode()
    client.post(address_of(other))
    assert not is_in(other)
    client.post(OTHERS)
    assert not is_in(third)
    assert is_in(client)
    assert timezone.now() < row_of(client).expires
