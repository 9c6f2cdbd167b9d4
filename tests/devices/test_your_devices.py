"""Your devices, signing out one and everywhere, on every profile."""

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


def said(*command: str) -> str:
    out = StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


def test_the_page_lists_the_users_devices_and_marks_this_one(
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


def test_this_device_is_the_first_whichever_was_seen_last(profile: str, ada: User) -> None:
    clients = [browser(ada), browser(ada, IPHONE)]
    for client in clients:
        first, second = client.get("/devices/").content.decode().split("<li")[-2:]
        assert "this device" in first
        assert "this device" not in second


@on("db")
def test_of_very_many_the_last_are_shown(
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


def test_signed_out_people_are_asked_to_sign_in(profile: str) -> None:
    client = browser()
    for response in (client.get("/devices/"), client.post(OTHERS)):
        assert response.headers["Location"].startswith("/auth/sign-in/?next=/devices/")


def test_one_ends_the_other_with_its_next_request(profile: str, ada: User) -> None:
    client, other, third = browser(ada), browser(ada, IPHONE), browser(ada)
    other.post("/sessions/set-item/")
    page = client.post(address_of(other), follow=True).content.decode()
    assert "Mobile Safari on iOS is signed out." in page
    assert other.get("/sessions/get/").content.decode() == "color is none\n"
    assert not is_in(other)
    assert is_in(client)
    assert is_in(third)


def test_the_one_that_asks_may_be_it(profile: str, ada: User) -> None:
    client, other = browser(ada), browser(ada)
    client.post(address_of(client))
    assert not is_in(client)
    assert is_in(other)


def test_ones_own_only(profile: str, ada: User, admin: User) -> None:
    client, theirs = browser(ada), browser(admin)
    before = LogEntry.objects.count()
    client.post(address_of(theirs))
    client.post(f"/devices/{uuid4()}/sign-out/")
    assert client.post("/devices/1/sign-out/").status_code == 404
    assert is_in(theirs)
    assert LogEntry.objects.count() == before


def test_a_look_ends_nothing(profile: str, ada: User) -> None:
    client, other = browser(ada), browser(ada)
    client.get(address_of(other))
    client.get(OTHERS)
    assert is_in(other)


def test_another_site_ends_nothing(profile: str, ada: User) -> None:
    client, other = browser(ada), browser(ada)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    assert strict.post(address_of(other)).status_code == 403
    assert strict.post(OTHERS).status_code == 403
    assert is_in(other)


def test_all_others(profile: str, ada: User, admin: User) -> None:
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


def test_a_session_that_the_index_does_not_know_ends_too(profile: str, ada: User) -> None:
    client, other = browser(ada), browser(ada)
    row_of(other).__class__.objects.filter(pk=row_of(other).pk).forget()
    client.post(OTHERS)
    assert not is_in(other)


def test_each_ending_is_in_the_admins_log(profile: str, ada: User) -> None:
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


def test_what_the_store_has_lost_is_not_listed(
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


def test_nor_what_ended_with_a_password(profile: str, ada: User) -> None:
    browser(ada, IPHONE)
    ada.set_password("cookies")
    ada.save()
    assert "Mobile Safari" not in browser(ada).get("/devices/").content.decode()


@on("db")
def test_nor_a_session_of_an_engine_that_does_not_run(profile: str, ada: User) -> None:
    client, other = browser(ada), browser(ada, IPHONE)
    SignedInSession.objects.filter(pk=row_of(other).pk).update(engine="cache")
    assert "Mobile Safari" not in client.get("/devices/").content.decode()
    # It may run again, so the row stays.
    assert SignedInSession.objects.count() == 2


@on("cache", "file", "db")
def test_a_store_that_is_away_ends_nothing_and_says_so(profile: str, ada: User) -> None:
    client, other = browser(ada), browser(ada)
    away = StoreUnavailableError("there", "gone")
    url = address_of(other)
    with mock.patch("cookieproj.devices.stored_sessions.delete_stored_session", side_effect=away):
        assert client.post(url).status_code == 503
    assert is_in(other)
    assert SignedInSession.objects.count() == 2
    assert not LogEntry.objects.exists()


def test_everywhere_works_with_the_store_away_too(
    profile: str, ada: User, caplog: pytest.LogCaptureFixture
) -> None:
    clients = [browser(ada) for _ in range(3)]
    away = StoreUnavailableError("there", "gone")
    with mock.patch(
        "cookieproj.devices.stored_sessions.delete_stored_session", side_effect=away
    ) as end:
        assert sign_out_everywhere(ada) == 3
    assert [is_in(client) for client in clients] == [False] * 3
    assert not SignedInSession.objects.exists()
    if profile not in IN_COOKIES:
        # Not asked again, since each time would cost a time-out.
        assert end.call_count == 1
        assert "stay stored until they expire. The session store is unavailable" in caplog.text


def test_an_old_copy_of_the_user_that_is_saved_brings_nobody_back(profile: str, ada: User) -> None:
    old, client = User.objects.get(), browser(ada)
    with mock.patch("cookieproj.devices.signing_out.delete_stored"):
        # As with a store that is away, or sessions that the index does not know.
        sign_out_everywhere(ada)
    again = browser(ada)
    old.first_name = "Ada"
    old.save()
    assert User.objects.get().sign_outs == 1
    assert not is_in(client)
    assert is_in(again)


def test_a_user_is_made_with_the_counter_at_zero(ada: User) -> None:
    assert User.objects.get().sign_outs == 0


@on("db")
def test_only_live_ones_are_counted(profile: str, ada: User) -> None:
    browser(ada)
    ada.set_password("cookies")
    ada.save()
    browser(ada)
    assert sign_out_everywhere(ada) == 1


@on("db")
def test_a_row_that_has_just_got_another_key_is_not_forgotten(
    profile: str, store: type[SessionBase], ada: User
) -> None:
    client, other = browser(ada), browser(ada)
    row = row_of(other)
    store().delete(key_of(other))
    really = stored_sessions.rows_with_session

    def slowly(rows: Any) -> Any:
        found = really(rows)
        SignedInSession.objects.filter(pk=row.pk).update(sealed_key="another")
        return found

    with mock.patch.object(stored_sessions, "rows_with_session", slowly):
        client.get("/devices/")
    assert row in SignedInSession.objects.all()


def test_the_page_is_not_cached(profile: str, ada: User) -> None:
    assert "no-store" in browser(ada).get("/devices/").headers["Cache-Control"]


def test_a_user_who_was_never_signed_out_has_djangos_own_hash(ada: User) -> None:
    djangos = super(User, ada).get_session_auth_hash()
    assert ada.get_session_auth_hash() == djangos
    ada.sign_outs = 1
    first = ada.get_session_auth_hash()
    ada.sign_outs = 2
    assert len({djangos, first, ada.get_session_auth_hash()}) == 3


def test_a_rotated_key_and_a_counter_together_end_nothing(
    profile: str, ada: User, settings: Settings
) -> None:
    sign_out_everywhere(ada)
    client = browser(ada)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    assert is_in(client)


def test_everywhere_costs_no_query_more_on_a_request(profile: str, ada: User) -> None:
    def queries() -> int:
        client = browser(ada)
        with CaptureQueriesContext(connection) as captured:
            client.get("/auth/account/")
        return len(captured)

    before = queries()
    sign_out_everywhere(ada)
    ada.refresh_from_db()
    assert queries() == before


def test_signout_from_the_command_line(profile: str, ada: User, admin: User) -> None:
    clients, theirs = [browser(ada), browser(ada)], browser(admin)
    assert said("signout", "ada") == "ada is signed out everywhere; 2 sessions known.\n"
    assert [is_in(client) for client in clients] == [False, False]
    assert is_in(theirs)
    assert LogEntry.objects.get().change_message == "Signed out everywhere by manage.py."
    assert said("signout", "ada") == "ada is signed out everywhere; 0 sessions known.\n"


def test_signout_of_several_and_of_one_twice(profile: str, ada: User, admin: User) -> None:
    clients = [browser(ada), browser(admin)]
    lines = said("signout", "ada", "admin", "ada").splitlines()
    assert len(lines) == 2
    assert [is_in(client) for client in clients] == [False, False]


def test_signout_of_nobody_leaves_everybody_in(profile: str, ada: User) -> None:
    client = browser(ada)
    with pytest.raises(CommandError, match=r"There is no user 'nobody'\. Nobody is signed out\."):
        said("signout", "ada", "nobody")
    assert is_in(client)


def test_signout_without_a_database_is_one_line(ada: User) -> None:
    with (
        mock.patch(f"{signout.__name__}.find_by_name", side_effect=OperationalError("x")),
        pytest.raises(CommandError, match="Could not sign out: x"),
    ):
        said("signout", "ada")


def djangos_signed_cookies(settings: Settings) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"


def test_where_one_cannot_be_ended_the_page_says_so_before(ada: User, settings: Any) -> None:
    djangos_signed_cookies(settings)
    client, other = browser(ada), browser(ada, IPHONE)
    page = client.get("/devices/").content.decode()
    assert "the server cannot end a single one" in page
    assert address_of(other) not in page
    assert address_of(client) in page
    again = client.post(address_of(other), follow=True).content.decode()
    assert "is signed out" not in again
    assert is_in(other)
    assert SignedInSession.objects.count() == 2
    client.post(OTHERS)
    assert not is_in(other)
    assert is_in(client)


@on("db", "cached_db", "cache", "file")
def test_djangos_engines_too(profile: str, ada: User, settings: Settings) -> None:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{profile}"
    client, other, third = browser(ada), browser(ada, IPHONE), browser(ada)
    assert "Mobile Safari" in client.get("/devices/").content.decode()
    client.post(address_of(other))
    assert not is_in(other)
    client.post(OTHERS)
    assert not is_in(third)
    assert is_in(client)
    assert timezone.now() < row_of(client).expires
