"""What cannot be ended is said, and stays: no secret key opens its row, or its engine is gone."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as running
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from pytest_django import Settings

from cookieproj.devices import stored_sessions, write_throttle
from cookieproj.devices.models import SignedInSession
from demo.models import User
from tests.browsers import again, browser, is_in, row_of
from tests.conftest import on

ON_SERVER = on("db", "cache", "file", "cached_db")
SIGNED_IN = "/admin/cookieproj_devices/signedinsession/"
ANOTHER = "another-key-that-is-long-enough-for-django-0123456789abcdefghij"
LOST = "A session key encrypted with a SECRET_KEY that is no longer set cannot be read."
REMEDY = (
    "Add that SECRET_KEY to SECRET_KEY_FALLBACKS and try again, or sign the user out everywhere."
)
GONE = "A session of an engine that cannot be imported cannot be deleted."
STAY = "Sessions that have ended stay stored until they expire."


@pytest.fixture
def lose(settings: Settings) -> Callable[[], None]:
    """The former key, of which all that was sealed before is."""

    def lose() -> None:
        settings.SECRET_KEY = ANOTHER
        write_throttle.recent_writes.clear()

    return lose


@pytest.fixture
def put_back(settings: Settings) -> Callable[[], None]:
    previous = running.SECRET_KEY

    def put_back() -> None:
        settings.SECRET_KEY_FALLBACKS = [previous]
        write_throttle.recent_writes.clear()

    return put_back


Rotate = Callable[[], None]


def selected(*rows: SignedInSession) -> dict[str, Any]:
    pks = [str(row.pk) for row in rows]
    return {"action": "delete_selected", "_selected_action": pks, "post": "yes"}


@ON_SERVER
def test_the_admin_says_which_of_the_selected_are_not_signed_out(
    profile: str, ada: User, admin: User, lose: Rotate, put_back: Rotate
) -> None:
    before, other_before = browser(ada), browser(ada)
    rows = row_of(before), row_of(other_before)
    lose()
    client, after = browser(admin), browser(ada)
    assert ">unreadable<" in client.get(SIGNED_IN).text
    page = client.post(SIGNED_IN, selected(*rows, row_of(after)), follow=True).text
    assert "2 sessions are not signed out." in page
    assert page.count(f"{LOST} {REMEDY}") == 1
    assert "Successfully deleted 1 signed-in session." in page
    assert LogEntry.objects.count() == 1
    assert not is_in(after)
    assert set(ada.signed_in_sessions.all()) == set(rows)
    put_back()
    assert is_in(again(before))
    client.post(SIGNED_IN, selected(rows[0]))
    assert [is_in(again(each)) for each in (before, other_before)] == [False, True]
    assert list(ada.signed_in_sessions.all()) == [rows[1]]


@ON_SERVER
def test_if_there_is_no_other_nothing_is_said_to_be_deleted(
    profile: str, ada: User, admin: User, lose: Rotate
) -> None:
    row = row_of(browser(ada))
    lose()
    client = browser(admin)
    page = client.post(SIGNED_IN, selected(row), follow=True).text
    assert "1 session is not signed out." in page
    assert "uccessfully" not in page
    assert not LogEntry.objects.exists()


@ON_SERVER
def test_so_does_the_page_of_one(
    profile: str, ada: User, admin: User, lose: Rotate, put_back: Rotate
) -> None:
    before = browser(ada)
    page = f"{SIGNED_IN}{row_of(before).pk}/delete/"
    lose()
    client = browser(admin)
    answer = client.post(page, {"post": "yes"}, follow=True)
    assert answer.redirect_chain == [(SIGNED_IN, 302)]
    assert "1 session is not signed out." in answer.text
    assert f"{LOST} {REMEDY}" in answer.text
    assert "uccessfully" not in answer.text
    assert not LogEntry.objects.exists()
    put_back()
    assert is_in(again(before))
    assert "uccessfully" in client.post(page, {"post": "yes"}, follow=True).text
    assert not is_in(again(before))


@ON_SERVER
def test_so_does_the_page_of_ones_devices(
    profile: str, ada: User, lose: Rotate, put_back: Rotate
) -> None:
    before = browser(ada)
    row = row_of(before)
    lose()
    client = browser(ada)
    page = client.post(f"/devices/{row.pk}/sign-out/", follow=True).text
    assert "Firefox on Linux is not signed out." in page
    assert f"{LOST} Sign out all other devices instead" in page
    assert not LogEntry.objects.exists()
    put_back()
    assert is_in(again(before))


def everywhere(client: Client, ada: User) -> None:
    call_command("signout", "ada", verbosity=0)


def all_others(client: Client, ada: User) -> None:
    client.post("/devices/sign-out-others/")


def of_users(client: Client, ada: User) -> None:
    form = {"action": "sign_out", "_selected_action": [ada.pk]}
    assert client.post("/admin/demo/user/", form).status_code == 302


def of_rows(client: Client, ada: User) -> None:
    rows = [str(row.pk) for row in ada.signed_in_sessions.all()]
    form = {"action": "sign_out_users", "_selected_action": rows}
    assert client.post(SIGNED_IN, form).status_code == 302


def by_an_operator(client: Client, ada: User) -> None:
    """Who deletes rows in a shell is told as well, and by an error."""
    with (
        pytest.raises(stored_sessions.NotEndedError, match="SECRET_KEY_FALLBACKS"),
        transaction.atomic(),
    ):
        ada.signed_in_sessions.all().delete()
    everywhere(client, ada)


@ON_SERVER
@pytest.mark.parametrize("end", [everywhere, all_others, of_users, of_rows, by_an_operator])
def test_to_sign_out_everywhere_needs_no_key_and_is_for_good(
    end: Callable[[Client, User], None],
    profile: str,
    ada: User,
    lose: Rotate,
    put_back: Rotate,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ada.is_staff = ada.is_superuser = True
    ada.save()
    before = [browser(ada), browser(ada)]
    lose()
    end(browser(ada), ada)
    # Once, however many they are.
    assert caplog.text.count(STAY) == 1
    assert LOST in caplog.text
    put_back()
    assert [is_in(again(each)) for each in before] == [False, False]
    assert ada.signed_in_sessions.live().count() <= 1


@ON_SERVER
def test_to_delete_a_user_is_too(
    profile: str,
    ada: User,
    admin: User,
    lose: Rotate,
    put_back: Rotate,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = browser(ada)
    lose()
    page = browser(admin).post(f"/admin/demo/user/{ada.pk}/delete/", {"post": "yes"}, follow=True)
    assert "uccessfully" in page.text
    assert f"{STAY} {LOST}" in caplog.text
    put_back()
    User.objects.create_user("ada", password="cookies", pk=ada.pk)
    assert not is_in(again(before))


@on("db")
def test_nor_is_a_session_ended_whose_engine_is_gone(
    profile: str, ada: User, admin: User, caplog: pytest.LogCaptureFixture
) -> None:
    """For it may come back, and the session with it."""
    client, before = browser(admin), browser(ada)
    row = row_of(before)
    SignedInSession.objects.filter(pk=row.pk).update(engine="somebodys.engine")
    page = client.post(SIGNED_IN, selected(row), follow=True).text
    assert "1 session is not signed out." in page
    assert GONE in page
    call_command("signout", "ada", verbosity=0)
    assert f"{STAY} {GONE}" in caplog.text
    assert not is_in(before)
    assert not ada.signed_in_sessions.exists()
