"""What DEVICES_ASK_PASSWORD_AFTER guards: the buttons of the devices page, and admins of users."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from cookieproj.devices.models import SignedInSession
from demo.models import User
from tests.browsers import IPHONE, browser, is_in, row_of

from .asking import answer, asks

SESSIONS = "/admin/cookieproj_devices/signedinsession/"
pytestmark = pytest.mark.usefixtures("fresh_cache")

OTHERS = "/devices/sign-out-others/"


@pytest.fixture(autouse=True)
def asked_after_a_minute(settings: Settings) -> None:
    settings.DEVICES_ASK_PASSWORD_AFTER = 60


@pytest.fixture
def client(ada: User) -> Client:
    return browser(ada)


@pytest.fixture
def phone(ada: User) -> Client:
    return browser(ada, IPHONE)


@pytest.fixture
def staff(admin: User) -> Client:
    return browser(admin)


@pytest.fixture
def later(client: Client, phone: Client, staff: Client) -> Iterator[None]:
    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        yield


def test_signing_out_another_device_asks(
    profile: str, client: Client, phone: Client, later: None
) -> None:
    assert not asks(client.get("/devices/"))
    page = client.post(f"/devices/{row_of(phone).pk}/sign-out/")
    assert asks(page)
    assert is_in(phone)
    page = client.get(answer(client, page).headers["Location"])
    assert "Mobile Safari on iOS is signed out." in page.text
    assert not is_in(phone)


def test_signing_out_all_others_asks(
    profile: str, client: Client, phone: Client, later: None
) -> None:
    page = client.post(OTHERS)
    assert asks(page)
    assert is_in(phone)
    assert answer(client, page).headers["Location"] == "/devices/"
    assert not is_in(phone)
    assert is_in(client)


@pytest.mark.django_db
def test_signing_out_this_device_asks_nothing(client: Client, later: None) -> None:
    assert client.post(f"/devices/{row_of(client).pk}/sign-out/").status_code == 302
    assert not is_in(client)


@pytest.mark.django_db
def test_soon_after_the_sign_in_nothing_is_asked(client: Client, staff: Client) -> None:
    assert client.post(OTHERS).status_code == 302
    assert not asks(staff.post(SESSIONS, {"action": "sign_out_users"}))


@pytest.mark.django_db
def test_admins_actions_ask_once(staff: Client, phone: Client, later: None) -> None:
    form = {"action": "delete_selected", "_selected_action": str(row_of(phone).pk)}
    assert staff.get(SESSIONS).status_code == 200
    page = staff.post(SESSIONS, form)
    assert asks(page)
    assert "Deleting a signed-in session" in answer(staff, page).text
    assert not asks(staff.post(SESSIONS, form | {"post": "yes"}))
    assert not is_in(phone)


@pytest.mark.django_db
def test_admins_sign_out_everywhere_asks(
    staff: Client, phone: Client, ada: User, later: None
) -> None:
    form = {"action": "sign_out", "_selected_action": str(ada.pk)}
    page = staff.post("/admin/demo/user/", form)
    assert asks(page)
    assert is_in(phone)
    answer(staff, page)
    assert not is_in(phone)


@pytest.mark.django_db
def test_admins_deletions_ask(staff: Client, phone: Client, ada: User, later: None) -> None:
    urls = (f"{SESSIONS}{row_of(phone).pk}/delete/", f"/admin/demo/user/{ada.pk}/delete/")
    for hours, url in enumerate(urls, start=2):
        with time_machine.travel(timezone.now() + timedelta(hours=hours)):
            assert not asks(staff.get(url))
            page = staff.post(url, {"post": "yes"})
            assert asks(page)
            assert answer(staff, page).status_code == 302
    assert not SignedInSession.objects.filter(user=ada.pk).exists()
    assert not User.objects.filter(pk=ada.pk).exists()


@pytest.mark.django_db
def test_changing_email_or_password_of_a_user_asks(
    staff: Client, ada: User, admin: User, later: None
) -> None:
    """Staff change passwords there without the old one, their own too."""
    assert asks(staff.post(f"/admin/demo/user/{ada.pk}/change/", {"email": "eve@example.com"}))
    url = f"/admin/demo/user/{admin.pk}/password/"
    new = {"usable_password": "true", "password1": "a-New_one-1", "password2": "a-New_one-1"}
    page = staff.post(url, new)
    assert asks(page)
    assert answer(staff, page).status_code == 302
    assert User.objects.get(pk=admin.pk).check_password("a-New_one-1")
    assert is_in(staff)


@pytest.mark.django_db
def test_changing_the_own_password_asks_for_it_once(staff: Client, later: None) -> None:
    """Django's page has a field for the old password."""
    new = {"new_password1": "a-New_one-1", "new_password2": "a-New_one-1"}
    url = "/admin/password_change/"
    page = staff.post(url, new | {"old_password": "guess"})
    assert page.status_code == 200
    assert not asks(page)
    assert staff.post(url, new | {"old_password": "cookies"}).status_code == 302


@pytest.mark.django_db
def test_visitor_is_redirected_to_the_admins_sign_in() -> None:
    response = browser().post(SESSIONS, {"action": "sign_out_users"})
    assert response.headers["Location"].startswith("/admin/login/")
