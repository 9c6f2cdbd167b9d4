"""Sessions that cannot be ended are reported and kept.

No secret key decrypts their row, or their engine cannot be imported.
"""

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
from tests.families import SERVER_ENGINES

ON_SERVER = on(*SERVER_ENGINES)
SIGNED_IN = "/admin/cookieproj_devices/signedinsession/"
NEW_SECRET_KEY = "another-key-that-is-long-enough-for-django-0123456789abcdefghij"
LOST = "A session key encrypted with a SECRET_KEY that is no longer set cannot be read."
REMEDY = (
    "Add that SECRET_KEY to SECRET_KEY_FALLBACKS and try again, or sign the user out everywhere."
)
ENGINE_MISSING = "A session of an engine that cannot be imported cannot be deleted."
REMAIN = "Sessions that have ended stay stored until they expire."


@pytest.fixture
def replace_secret_key(settings: Settings) -> Callable[[], None]:
    """Replaces the key with which all rows so far are encrypted."""

    def replace_secret_key() -> None:
        settings.SECRET_KEY = NEW_SECRET_KEY
        write_throttle.recent_writes.clear()

    return replace_secret_key


@pytest.fixture
def restore_secret_key(settings: Settings) -> Callable[[], None]:
    """Makes the replaced key a fallback."""
    previous = running.SECRET_KEY

    def restore_secret_key() -> None:
        settings.SECRET_KEY_FALLBACKS = [previous]
        write_throttle.recent_writes.clear()

    return restore_secret_key


ChangeKey = Callable[[], None]


def selected(*rows: SignedInSession) -> dict[str, Any]:
    pks = [str(row.pk) for row in rows]
    return {"action": "delete_selected", "_selected_action": pks, "post": "yes"}


@ON_SERVER
def test_admin_action_reports_sessions_that_cannot_be_ended(
    profile: str,
    ada: User,
    admin: User,
    replace_secret_key: ChangeKey,
    restore_secret_key: ChangeKey,
) -> None:
    before, other_before = browser(ada), browser(ada)
    rows = row_of(before), row_of(other_before)
    replace_secret_key()
    client, after = browser(admin), browser(ada)
    assert ">unreadable<" in client.get(SIGNED_IN).text
    page = client.post(SIGNED_IN, selected(*rows, row_of(after)), follow=True).text
    assert "2 sessions are not signed out." in page
    assert page.count(f"{LOST} {REMEDY}") == 1
    assert "Successfully deleted 1 signed-in session." in page
    assert LogEntry.objects.count() == 1
    assert not is_in(after)
    assert set(ada.signed_in_sessions.all()) == set(rows)
    restore_secret_key()
    assert is_in(again(before))
    client.post(SIGNED_IN, selected(rows[0]))
    assert [is_in(again(each)) for each in (before, other_before)] == [False, True]
    assert list(ada.signed_in_sessions.all()) == [rows[1]]


@ON_SERVER
def test_admin_action_reports_no_success_if_no_session_could_be_ended(
    profile: str, ada: User, admin: User, replace_secret_key: ChangeKey
) -> None:
    row = row_of(browser(ada))
    replace_secret_key()
    client = browser(admin)
    page = client.post(SIGNED_IN, selected(row), follow=True).text
    assert "1 session is not signed out." in page
    assert "uccessfully" not in page
    assert not LogEntry.objects.exists()


@ON_SERVER
def test_admin_delete_page_reports_session_that_cannot_be_ended(
    profile: str,
    ada: User,
    admin: User,
    replace_secret_key: ChangeKey,
    restore_secret_key: ChangeKey,
) -> None:
    before = browser(ada)
    page = f"{SIGNED_IN}{row_of(before).pk}/delete/"
    replace_secret_key()
    client = browser(admin)
    response = client.post(page, {"post": "yes"}, follow=True)
    assert response.redirect_chain == [(SIGNED_IN, 302)]
    assert "1 session is not signed out." in response.text
    assert f"{LOST} {REMEDY}" in response.text
    assert "uccessfully" not in response.text
    assert not LogEntry.objects.exists()
    restore_secret_key()
    assert is_in(again(before))
    assert "uccessfully" in client.post(page, {"post": "yes"}, follow=True).text
    assert not is_in(again(before))


@ON_SERVER
def test_devices_page_reports_session_that_cannot_be_ended(
    profile: str, ada: User, replace_secret_key: ChangeKey, restore_secret_key: ChangeKey
) -> None:
    before = browser(ada)
    row = row_of(before)
    replace_secret_key()
    client = browser(ada)
    page = client.post(f"/devices/{row.pk}/sign-out/", follow=True).text
    assert "Firefox on Linux is not signed out." in page
    assert f"{LOST} Sign out all other devices instead" in page
    assert not LogEntry.objects.exists()
    restore_secret_key()
    assert is_in(again(before))


def by_signout_command(client: Client, ada: User) -> None:
    call_command("signout", "ada", verbosity=0)


def by_devices_page(client: Client, ada: User) -> None:
    client.post("/devices/sign-out-others/")


def by_user_admin(client: Client, ada: User) -> None:
    form = {"action": "sign_out", "_selected_action": [ada.pk]}
    assert client.post("/admin/demo/user/", form).status_code == 302


def by_session_admin(client: Client, ada: User) -> None:
    rows = [str(row.pk) for row in ada.signed_in_sessions.all()]
    form = {"action": "sign_out_users", "_selected_action": rows}
    assert client.post(SIGNED_IN, form).status_code == 302


def after_failed_deletion(client: Client, ada: User) -> None:
    """Deleting the rows, as in a shell, raises an error."""
    with (
        pytest.raises(stored_sessions.NotEndedError, match="SECRET_KEY_FALLBACKS"),
        transaction.atomic(),
    ):
        ada.signed_in_sessions.all().delete()
    by_signout_command(client, ada)


@ON_SERVER
@pytest.mark.parametrize(
    "sign_out",
    [by_signout_command, by_devices_page, by_user_admin, by_session_admin, after_failed_deletion],
)
def test_sign_out_everywhere_needs_no_old_secret_key(
    sign_out: Callable[[Client, User], None],
    profile: str,
    ada: User,
    replace_secret_key: ChangeKey,
    restore_secret_key: ChangeKey,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ada.is_staff = ada.is_superuser = True
    ada.save()
    before = [browser(ada), browser(ada)]
    replace_secret_key()
    sign_out(browser(ada), ada)
    # Logged once, however many sessions there are.
    assert caplog.text.count(REMAIN) == 1
    assert LOST in caplog.text
    restore_secret_key()
    assert [is_in(again(each)) for each in before] == [False, False]
    assert ada.signed_in_sessions.live().count() <= 1


@ON_SERVER
def test_deleting_a_user_needs_no_old_secret_key(
    profile: str,
    ada: User,
    admin: User,
    replace_secret_key: ChangeKey,
    restore_secret_key: ChangeKey,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = browser(ada)
    replace_secret_key()
    page = browser(admin).post(f"/admin/demo/user/{ada.pk}/delete/", {"post": "yes"}, follow=True)
    assert "uccessfully" in page.text
    assert f"{REMAIN} {LOST}" in caplog.text
    restore_secret_key()
    User.objects.create_user("ada", password="cookies", pk=ada.pk)
    assert not is_in(again(before))


@on("db")
def test_session_of_missing_engine_cannot_be_ended_alone(
    profile: str, ada: User, admin: User, caplog: pytest.LogCaptureFixture
) -> None:
    """The engine may be installed again, and then the session is valid again."""
    client, before = browser(admin), browser(ada)
    row = row_of(before)
    SignedInSession.objects.filter(pk=row.pk).update(engine="somebodys.engine")
    page = client.post(SIGNED_IN, selected(row), follow=True).text
    assert "1 session is not signed out." in page
    assert ENGINE_MISSING in page
    call_command("signout", "ada", verbosity=0)
    assert f"{REMAIN} {ENGINE_MISSING}" in caplog.text
    assert not is_in(before)
    assert not ada.signed_in_sessions.exists()
