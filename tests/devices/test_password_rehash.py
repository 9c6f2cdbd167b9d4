"""Rehashing a password after an upgrade signs nobody out; a password change does."""

import json
from collections.abc import Callable
from io import StringIO
from unittest import mock

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as running
from django.contrib.auth import aauthenticate, update_session_auth_hash
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import PBKDF2PasswordHasher, make_password
from django.core import serializers
from django.core.management import call_command
from django.db.models.signals import post_save
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django import Settings

from cookieproj.devices import auth_hashes
from cookieproj.devices.models import SignedInSession
from cookieproj.devices.signing_out import sign_out_everywhere
from cookieproj.engines import running_engine
from demo.models import User
from tests.browsers import browser, is_in, row_of


class OldHasher(PBKDF2PasswordHasher):
    iterations = 10


class NewHasher(PBKDF2PasswordHasher):
    iterations = 20


Upgrade = Callable[[type[PBKDF2PasswordHasher]], None]


@pytest.fixture
def upgrade(settings: Settings) -> Upgrade:
    def upgrade(hasher: type[PBKDF2PasswordHasher]) -> None:
        settings.PASSWORD_HASHERS = [f"{__name__}.{hasher.__name__}"]

    upgrade(OldHasher)
    return upgrade


@pytest.fixture
def ada(upgrade: Upgrade, db: None) -> User:
    return User.objects.create_user("ada", password="cookies")


def iterations(user: User) -> int:
    user.refresh_from_db()
    return int(user.password.split("$")[1])


def signed_in_after(upgrade: Upgrade, user: User) -> Client:
    """A device that signs in after the upgrade, which rehashes the password."""
    upgrade(NewHasher)
    client = browser(user)
    assert iterations(user) == NewHasher.iterations
    return client


def test_rehash_keeps_other_devices_signed_in(profile: str, ada: User, upgrade: Upgrade) -> None:
    first = browser(ada)
    row = row_of(first)
    second = signed_in_after(upgrade, ada)
    for device in (first, second, first):
        assert is_in(device)
    assert SignedInSession.objects.get(pk=row.pk).expires == row.expires


def test_rehash_keeps_login_cookie_valid(ada: User, upgrade: Upgrade) -> None:
    client = Client()
    client.post("/auth/cookie-sign-in/", {"username": "ada", "password": "cookies"})
    signed_in_after(upgrade, ada)
    assert client.get("/auth/cookie-account/").status_code == 200


def test_rehash_by_async_sign_in_keeps_other_devices_signed_in(ada: User, upgrade: Upgrade) -> None:
    first = browser(ada)
    upgrade(NewHasher)
    user = async_to_sync(aauthenticate)(username="ada", password="cookies")
    assert (user, iterations(ada)) == (ada, NewHasher.iterations)
    assert user
    assert user.password == ada.password
    assert is_in(first)


def test_repeated_rehashes_keep_devices_signed_in(ada: User, upgrade: Upgrade) -> None:
    """While servers of both releases run, each sign-in may rehash the password."""
    first = browser(ada)
    for hasher in (NewHasher, OldHasher) * 3:
        upgrade(hasher)
        assert is_in(browser(ada))
        assert iterations(ada) == hasher.iterations
    assert is_in(first)
    assert len(ada.session_hashes.split()) == 1


def test_session_hash_before_rehash_is_djangos(ada: User) -> None:
    assert ada.get_session_auth_hash() == AbstractBaseUser.get_session_auth_hash(ada)
    assert ada.session_hashes == ""
    assert User(username="new", password="x").get_session_auth_hash()


def test_rehash_keeps_no_copy_of_the_weaker_hash(ada: User, upgrade: Upgrade) -> None:
    weak = ada.password
    signed_in_after(upgrade, ada)
    assert weak not in str(User.objects.filter(pk=ada.pk).values().get())


def test_rehash_sends_no_post_save(ada: User, upgrade: Upgrade) -> None:
    browser(ada)
    receiver = mock.Mock()
    upgrade(NewHasher)
    post_save.connect(receiver, sender=User)
    try:
        assert ada.check_password("cookies")
    finally:
        post_save.disconnect(receiver, sender=User)
    assert iterations(ada) == NewHasher.iterations
    assert not receiver.called


def test_wrong_password_is_not_rehashed(ada: User, upgrade: Upgrade) -> None:
    before = ada.password
    upgrade(NewHasher)
    assert not ada.check_password("biscuits")
    ada.refresh_from_db()
    assert (ada.password, ada.session_hashes) == (before, "")


# Each of these changes the password.


def by_set_password(user: User) -> None:
    user.set_password("biscuits")
    user.save()


def by_saving_only_the_password(user: User) -> None:
    user.set_password("biscuits")
    user.save(update_fields=["password"])


def by_assignment(user: User) -> None:
    user.password = make_password("biscuits")
    user.save()


def by_query(user: User) -> None:
    User.objects.filter(pk=user.pk).update(password=make_password("biscuits"))


def by_setting_the_same_password(user: User) -> None:
    """As in Django, this ends the sessions too."""
    user.set_password("cookies")
    user.save()


def by_changepassword(user: User) -> None:
    with mock.patch("getpass.getpass", return_value="a long word or two"):
        call_command("changepassword", user.username, stdout=StringIO())


def by_fixture(user: User) -> None:
    changed = User.objects.get(pk=user.pk)
    changed.password = make_password("biscuits")
    for restored in serializers.deserialize("json", serializers.serialize("json", [changed])):
        restored.save()


def by_fixture_without_session_hashes(user: User) -> None:
    rows = json.loads(serializers.serialize("json", [user]))
    rows[0]["fields"].pop("session_hashes")
    rows[0]["fields"]["password"] = make_password("biscuits")
    for restored in serializers.deserialize("json", json.dumps(rows)):
        restored.save()


def by_admin(user: User) -> None:
    admin = Client()
    admin.force_login(User.objects.create_superuser("admin", password="cookies"))
    form = {"usable_password": "true", "password1": "a long word", "password2": "a long word"}
    assert admin.post(f"/admin/demo/user/{user.pk}/password/", form).status_code == 302


def by_unusable_password(user: User) -> None:
    user.set_unusable_password()
    user.save()


PASSWORD_CHANGES = [
    by_set_password,
    by_saving_only_the_password,
    by_assignment,
    by_query,
    by_setting_the_same_password,
    by_changepassword,
    by_fixture,
    by_fixture_without_session_hashes,
    by_admin,
    by_unusable_password,
]


@pytest.mark.parametrize("change", PASSWORD_CHANGES)
def test_password_change_after_rehash_ends_all_sessions(
    change: Callable[[User], None], ada: User, upgrade: Upgrade
) -> None:
    first = browser(ada)
    by_cookie = Client()
    by_cookie.post("/auth/cookie-sign-in/", {"username": "ada", "password": "cookies"})
    second = signed_in_after(upgrade, ada)
    assert is_in(first)
    change(User.objects.get(pk=ada.pk))
    assert not is_in(first)
    assert not is_in(second)
    assert by_cookie.get("/auth/cookie-account/").status_code == 302
    ada.refresh_from_db()
    assert ada.get_session_auth_hash() == AbstractBaseUser.get_session_auth_hash(ada)


def test_password_change_after_rehash_ends_rows_in_registry(ada: User, upgrade: Upgrade) -> None:
    row = row_of(browser(ada))
    signed_in_after(upgrade, ada)
    by_set_password(User.objects.get(pk=ada.pk))
    assert SignedInSession.objects.get(pk=row.pk).expires <= timezone.now()


def test_session_that_changes_password_after_rehash_stays_signed_in(
    ada: User, upgrade: Upgrade
) -> None:
    first = browser(ada)
    second = signed_in_after(upgrade, ada)
    request = RequestFactory().post("/")
    request.session = running_engine.store()(second.cookies["sessionid"].value)
    request.user = ada
    by_set_password(ada)
    update_session_auth_hash(request, ada)
    request.session.save()
    second.cookies["sessionid"] = request.session.session_key or ""
    assert is_in(second)
    assert not is_in(first)


def test_sign_out_everywhere_after_rehash_ends_all_sessions(ada: User, upgrade: Upgrade) -> None:
    first = browser(ada)
    second = signed_in_after(upgrade, ada)
    ada.refresh_from_db()
    sign_out_everywhere(ada)
    assert not is_in(first)
    assert not is_in(second)
    # The next rehash has the sign-out counter in its hash.
    third = browser(ada)
    upgrade(OldHasher)
    assert is_in(browser(ada))
    assert is_in(third)


ANOTHER_KEY = "another-key-that-is-long-enough-for-django-0123456789abcdefghij"


@pytest.mark.parametrize("rotated_first", [True, False])
def test_session_of_previous_secret_key_needs_it_as_fallback(
    rotated_first: bool, ada: User, upgrade: Upgrade, settings: Settings
) -> None:
    first = browser(ada)
    copied = Client()
    copied.cookies = first.cookies

    def rotate() -> None:
        settings.SECRET_KEY_FALLBACKS = [running.SECRET_KEY]
        settings.SECRET_KEY = ANOTHER_KEY

    if rotated_first:
        rotate()
    second = signed_in_after(upgrade, ada)
    if not rotated_first:
        rotate()
    # Loading the session saves nothing, so it still has the old hash.
    request = RequestFactory().get("/")
    request.session = running_engine.store()(first.cookies["sessionid"].value)
    assert auth_hashes.digest(request.session["_auth_user_hash"]) in auth_hashes.hashes_of(ada)
    assert is_in(second)
    hashes = auth_hashes.hashes_of(ada)
    settings.SECRET_KEY_FALLBACKS = []
    assert auth_hashes.hashes_of(ada) == hashes[:1]
    assert request.session["_auth_user_hash"] not in auth_hashes.hashes_of(ada)
    assert is_in(second)


def test_rehash_does_not_undo_concurrent_password_change(ada: User, upgrade: Upgrade) -> None:
    """The user may have changed it because somebody knows the old one."""
    stale = User.objects.get(pk=ada.pk)
    by_set_password(ada)
    upgrade(NewHasher)
    assert stale.check_password("cookies")
    ada.refresh_from_db()
    assert ada.check_password("biscuits")
    assert not ada.check_password("cookies")


def test_concurrent_rehashes_give_the_same_session_hash(ada: User, upgrade: Upgrade) -> None:
    client = browser(ada)
    first, second = (User.objects.get(pk=ada.pk) for _ in range(2))
    upgrade(NewHasher)
    assert first.check_password("cookies")
    assert second.check_password("cookies")
    assert first.get_session_auth_hash() == second.get_session_auth_hash()
    assert is_in(client)
