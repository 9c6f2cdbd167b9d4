"""What sites have that are not as this one."""

from typing import Any
from unittest import mock

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.messages.api import MessageFailure
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from pytest_django import Settings

from cookieproj.devices import auth_hashes
from cookieproj.devices.admin_mixins import SignOutUsersMixin
from cookieproj.devices.models import SignedInSession
from cookieproj.devices.signals import session_ended
from cookieproj.devices.user_model import find_user
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.revocation_check import revocation_check
from demo.models import User
from tests.browsers import browser, is_in, row_of
from tests.conftest import on

from .test_commands import said


@pytest.fixture
def staff(admin: User) -> Client:
    """Who may delete users, and nothing about their sessions."""
    keeper = User.objects.create_user("keeper", password="cookies", is_staff=True)
    names = ("view_user", "change_user", "delete_user")
    keeper.user_permissions.set(Permission.objects.filter(codename__in=names))
    return browser(keeper)


@on("db")
def test_who_may_delete_users_may_still_do_so(
    profile: str, staff: Client, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an admin of users that knows nothing of devices."""
    monkeypatch.delattr(SignOutUsersMixin, "get_deleted_objects")
    client = browser(ada)
    page = f"/admin/demo/user/{ada.pk}/delete/"
    assert staff.post(page, {"post": "yes"}).status_code == 302
    assert not User.objects.filter(pk=ada.pk).exists()
    assert not is_in(client)
    row = row_of(staff)
    own = f"/admin/cookieproj_devices/signedinsession/{row.pk}/delete/"
    assert staff.post(own, {"post": "yes"}).status_code == 403


@on("db")
def test_a_user_goes_although_the_store_is_away(profile: str, ada: User) -> None:
    client = browser(ada)
    away = StoreUnavailableError("there", "gone")
    with mock.patch("cookieproj.devices.stored_sessions.delete_stored_session", side_effect=away):
        ada.delete()
        assert not SignedInSession.objects.exists()
    assert not is_in(client)


@on("db")
@pytest.mark.django_db(transaction=True)
def test_one_that_has_ended_is_not_told_twice(profile: str, ada: User) -> None:
    browser(ada)
    told: list[str] = []

    def hear(reason: str, **kwargs: Any) -> None:
        told.append(reason)

    session_ended.connect(hear)
    try:
        ada.set_password("another")
        ada.save()
        ada.delete()
    finally:
        session_ended.disconnect(hear)
    assert told == ["password changed"]


@on("db")
def test_without_time_zones(profile: str, ada: User, admin: User, settings: Settings) -> None:
    settings.USE_TZ = False
    client = browser(admin)
    assert "last seen" in said("sessions", "admin")
    assert client.get("/admin/cookieproj_devices/").status_code == 200
    assert client.get("/devices/").status_code == 200


@on("db")
def test_without_messages(profile: str, ada: User) -> None:
    client, other = browser(ada), browser(ada)
    missing = mock.patch("django.contrib.messages.api.add_message", side_effect=fail)
    with missing as add:
        assert client.post("/devices/sign-out-others/").status_code == 302
    assert add.called
    assert not is_in(other)


def fail(*arguments: Any, fail_silently: bool = False, **options: Any) -> None:
    if not fail_silently:
        raise MessageFailure


class NoBaseUser:
    """A user model that is not made of AbstractBaseUser need not have a session hash."""


def test_a_user_without_a_session_hash() -> None:
    assert auth_hashes.hashes_of(NoBaseUser()) == [auth_hashes.digest("")]


@pytest.mark.parametrize("pk", [None, "", "x", "\0", [1], "9" * 5000])
def test_what_can_be_no_primary_key_is_nobody(pk: Any, ada: User) -> None:
    assert find_user(str(ada.pk)) == ada
    assert find_user(pk) is None


def test_devices_without_engines_is_one_sentence() -> None:
    config = apps.get_app_config("cookieproj_devices")
    with (
        mock.patch("cookieproj.devices.apps.apps.is_installed", return_value=False),
        pytest.raises(ImproperlyConfigured, match=r"needs cookieproj\.engines in INSTALLED_APPS"),
    ):
        config.ready()


def test_a_revocation_check_of_an_app_that_is_not_there(settings: Settings) -> None:
    settings.SESSION_REVOCATION_CHECK = "somewhere.is_revoked"
    missing = mock.patch(
        "cookieproj.engines.revocation_check.import_string",
        side_effect=RuntimeError("no app_label"),
    )
    with missing, pytest.raises(ImproperlyConfigured, match="not a function that can be called"):
        revocation_check()


def test_a_copy_of_a_user_in_another_database(ada: User) -> None:
    from cookieproj.devices import receivers  # noqa: PLC0415

    with mock.patch.object(auth_hashes, "hashes_of", side_effect=AssertionError):
        receivers.on_password_changed(ada, created=False, update_fields=None, using="other")
