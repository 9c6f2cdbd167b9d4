"""Sites that are set up differently from the demo site."""

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

from .test_commands import output_of


@pytest.fixture
def staff(admin: User) -> Client:
    """A user who may delete users, but not their sessions."""
    moderator = User.objects.create_user("moderator", password="cookies", is_staff=True)
    names = ("view_user", "change_user", "delete_user")
    moderator.user_permissions.set(Permission.objects.filter(codename__in=names))
    return browser(moderator)


@on("db")
def test_permission_to_delete_users_is_enough_to_delete_them(
    profile: str, staff: Client, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user admin does not use the app's mixin."""
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
def test_user_can_be_deleted_while_store_is_unreachable(profile: str, ada: User) -> None:
    client = browser(ada)
    error = StoreUnavailableError("store", "unreachable")
    with mock.patch("cookieproj.devices.stored_sessions.delete_stored_session", side_effect=error):
        ada.delete()
        assert not SignedInSession.objects.exists()
    assert not is_in(client)


@on("db")
@pytest.mark.django_db(transaction=True)
def test_session_ended_is_sent_once_for_password_change_and_deletion(
    profile: str, ada: User
) -> None:
    browser(ada)
    reasons: list[str] = []

    def receive(reason: str, **kwargs: Any) -> None:
        reasons.append(reason)

    session_ended.connect(receive)
    try:
        ada.set_password("another")
        ada.save()
        ada.delete()
    finally:
        session_ended.disconnect(receive)
    assert reasons == ["password changed"]


@on("db")
def test_pages_and_commands_work_without_time_zones(
    profile: str, ada: User, admin: User, settings: Settings
) -> None:
    settings.USE_TZ = False
    client = browser(admin)
    assert "last seen" in output_of("sessions", "admin")
    assert client.get("/admin/cookieproj_devices/").status_code == 200
    assert client.get("/devices/").status_code == 200


@on("db")
def test_sign_out_others_works_without_messages_app(profile: str, ada: User) -> None:
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
    """A user model without AbstractBaseUser need not have a session hash."""


def test_user_without_session_hash_has_the_hash_of_an_empty_text() -> None:
    assert auth_hashes.hashes_of(NoBaseUser()) == [auth_hashes.digest("")]


@pytest.mark.parametrize("pk", [None, "", "x", "\0", [1], "9" * 5000])
def test_invalid_primary_key_finds_no_user(pk: Any, ada: User) -> None:
    assert find_user(str(ada.pk)) == ada
    assert find_user(pk) is None


def test_missing_engines_app_is_improperly_configured() -> None:
    config = apps.get_app_config("cookieproj_devices")
    with (
        mock.patch("cookieproj.devices.apps.apps.is_installed", return_value=False),
        pytest.raises(ImproperlyConfigured, match=r"needs cookieproj\.engines in INSTALLED_APPS"),
    ):
        config.ready()


def test_revocation_check_of_missing_app_is_improperly_configured(settings: Settings) -> None:
    settings.SESSION_REVOCATION_CHECK = "somewhere.is_revoked"
    missing = mock.patch(
        "cookieproj.engines.revocation_check.import_string",
        side_effect=RuntimeError("no app_label"),
    )
    with missing, pytest.raises(ImproperlyConfigured, match="not a function that can be called"):
        revocation_check()


def test_password_change_in_another_database_is_ignored(ada: User) -> None:
    from cookieproj.devices import receivers  # noqa: PLC0415

    with mock.patch.object(auth_hashes, "hashes_of", side_effect=AssertionError):
        receivers.on_password_changed(ada, created=False, update_fields=None, using="other")
