"""The same password, hashed anew after an upgrade, is the same password."""

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


class Before(PBKDF2PasswordHasher):
    iterations = 10


class After(PBKDF2PasswordHasher):
    iterations = 20


Upgrade = Callable[[type[PBKDF2PasswordHasher]], None]


@pytest.fixture
def upgrade(settings: Settings) -> Upgrade:
    def upgrade(hasher: type[PBKDF2PasswordHasher]) -> None:
        settings.PASSWORD_HASHERS = [f"{__name__}.{hasher.__name__}"]

    upgrade(Before)
    return upgrade


@pytest.fixture
def ada(upgrade: Upgrade, db: None) -> User:
    return User.objects.create_user("ada", password="cookies")


def iterations(user: User) -> int:
    user.refresh_from_db()
    return int(user.password.split("$")[1])


def signed_in_after(upgrade: Upgrade, user: User) -> Client:
    """A device that signs in once there are more iterations."""
    upgrade(After)
    client = browser(user)
    assert iterations(user) == After.iterations
    return client


def test_the_other_devices_stay_signed_in(profile: str, ada: User, upgrade: Upgrade) -> None:
    first = browser(ada)
    row = row_of(first)
    second = signed_in_after(upgrade, ada)
    for device in (first, second, first):
        assert is_in(device)
    assert SignedInSession.objects.get(pk=row.pk).expires == row.expires


def test_a_login_cookie_stays_good(ada: User, upgrade: Upgrade) -> None:
    client = Client()
    client.post("/auth/cookie-sign-in/", {"username": "ada", "password": "cookies"})
    signed_in_after(upgrade, ada)
    assert client.get("/auth/cookie-account/").status_code == 200


def test_nor_by_an_asynchronous_sign_in(ada: User, upgrade: Upgrade) -> None:
    first = browser(ada)
    upgrade(After)
    signed_in = async_to_sync(aauthenticate)(username="ada", password="cookies")
    assert (signed_in, iterations(ada)) == (ada, After.iterations)
    assert signed_in
    assert signed_in.password == ada.password
    assert is_in(first)


def test_again_and_again(ada: User, upgrade: Upgrade) -> None:
    """As while servers of both releases run: each sign-in hashes it anew."""
    first = browser(ada)
    for hasher in (After, Before) * 3:
        upgrade(hasher)
        assert is_in(browser(ada))
        assert iterations(ada) == hasher.iterations
    assert is_in(first)
    assert len(ada.session_hashes.split()) == 1


def test_until_then_the_hash_is_djangos(ada: User) -> None:
    assert ada.get_session_auth_hash() == AbstractBaseUser.get_session_auth_hash(ada)
    assert ada.session_hashes == ""
    assert User(username="new", password="x").get_session_auth_hash()


def test_the_weaker_hash_is_kept_nowhere(ada: User, upgrade: Upgrade) -> None:
    weak = ada.password
    signed_in_after(upgrade, ada)
    assert weak not in str(User.objects.filter(pk=ada.pk).values().get())


def test_nobody_hears_of_a_new_password(ada: User, upgrade: Upgrade) -> None:
    browser(ada)
    heard = mock.Mock()
    upgrade(After)
    post_save.connect(heard, sender=User)
    try:
        assert ada.check_password("cookies")
    finally:
        post_save.disconnect(heard, sender=User)
    assert iterations(ada) == After.iterations
    assert not heard.called


def test_a_wrong_password_hashes_nothing(ada: User, upgrade: Upgrade) -> None:
    before = ada.password
    upgrade(After)
    assert not ada.check_password("biscuits")
    ada.refresh_from_db()
    assert (ada.password, ada.session_hashes) == (before, "")


# Whatever writes another password.


def by_set_password(user: User) -> None:
    user.set_password("biscuits")
    user.save()


def by_the_field_alone(user: User) -> None:
    user.set_password("biscuits")
    user.save(update_fields=["password"])


def by_assignment(user: User) -> None:
    user.password = make_password("biscuits")
    user.save()


def by_query(user: User) -> None:
    User.objects.filter(pk=user.pk).update(password=make_password("biscuits"))


def by_the_same_again(user: User) -> None:
    """A password that was set is a new one, even if it is the same word: as in Django."""
    user.set_password("cookies")
    user.save()


def by_the_command(user: User) -> None:
    with mock.patch("getpass.getpass", return_value="a long word or two"):
        call_command("changepassword", user.username, stdout=StringIO())


def by_a_fixture(user: User) -> None:
    with_another = User.objects.get(pk=user.pk)
    with_another.password = make_password("biscuits")
    for found in serializers.deserialize("json", serializers.serialize("json", [with_another])):
        found.save()


def by_a_fixture_from_before_the_column(user: User) -> None:
    rows = json.loads(serializers.serialize("json", [user]))
    rows[0]["fields"].pop("session_hashes")
    rows[0]["fields"]["password"] = make_password("biscuits")
    for found in serializers.deserialize("json", json.dumps(rows)):
        found.save()


def by_the_admin(user: User) -> None:
    admin = Client()
    admin.force_login(User.objects.create_superuser("admin", password="cookies"))
    form = {"usable_password": "true", "password1": "a long word", "password2": "a long word"}
    assert admin.post(f"/admin/demo/user/{user.pk}/password/", form).status_code == 302


def by_none_at_all(user: User) -> None:
    user.set_unusable_password()
    user.save()


WAYS = [
    by_set_password,
    by_the_field_alone,
    by_assignment,
    by_query,
    by_the_same_again,
    by_the_command,
    by_a_fixture,
    by_a_fixture_from_before_the_column,
    by_the_admin,
    by_none_at_all,
]


@pytest.mark.parametrize("change", WAYS)
def test_another_password_ends_them_all(
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


def test_the_index_knows_those_that_ended(ada: User, upgrade: Upgrade) -> None:
    row = row_of(browser(ada))
    signed_in_after(upgrade, ada)
    by_set_password(User.objects.get(pk=ada.pk))
    assert SignedInSession.objects.get(pk=row.pk).expires <= timezone.now()


def test_whoever_changed_it_stays(ada: User, upgrade: Upgrade) -> None:
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


def test_a_sign_out_everywhere_ends_them(ada: User, upgrade: Upgrade) -> None:
    first = browser(ada)
    second = signed_in_after(upgrade, ada)
    ada.refresh_from_db()
    sign_out_everywhere(ada)
    assert not is_in(first)
    assert not is_in(second)
    # Once more, with the counter in it.
    third = browser(ada)
    upgrade(Before)
    assert is_in(browser(ada))
    assert is_in(third)


ANOTHER_KEY = "another-key-that-is-long-enough-for-django-0123456789abcdefghij"


@pytest.mark.parametrize("rotated_first", [True, False])
def test_with_a_secret_key_of_before(
    rotated_first: bool, ada: User, upgrade: Upgrade, settings: Settings
) -> None:
    """What was signed in with it stays while it is a fallback, and no longer."""
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
    # Nothing is saved by these, so the session goes on holding the hash of before.
    request = RequestFactory().get("/")
    request.session = running_engine.store()(first.cookies["sessionid"].value)
    assert auth_hashes.digest(request.session["_auth_user_hash"]) in auth_hashes.hashes_of(ada)
    assert is_in(second)
    hashes = auth_hashes.hashes_of(ada)
    settings.SECRET_KEY_FALLBACKS = []
    assert auth_hashes.hashes_of(ada) == hashes[:1]
    assert request.session["_auth_user_hash"] not in auth_hashes.hashes_of(ada)
    assert is_in(second)


def test_a_password_that_is_changed_meanwhile_stays(ada: User, upgrade: Upgrade) -> None:
    """By whoever found that the old one is known: it must not come back."""
    stale = User.objects.get(pk=ada.pk)
    by_set_password(ada)
    upgrade(After)
    assert stale.check_password("cookies")
    ada.refresh_from_db()
    assert ada.check_password("biscuits")
    assert not ada.check_password("cookies")


def test_of_two_who_sign_in_at_once_neither_signs_out_the_other(
    ada: User, upgrade: Upgrade
) -> None:
    first = browser(ada)
    one, other = (User.objects.get(pk=ada.pk) for _ in range(2))
    upgrade(After)
    assert one.check_password("cookies")
    assert other.check_password("cookies")
    assert one.get_session_auth_hash() == other.get_session_auth_hash()
    assert is_in(first)
