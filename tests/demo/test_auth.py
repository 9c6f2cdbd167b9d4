"""The three kinds of sign-in of the demo, on every profile."""

import re
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from demo.constants import LOGIN_COOKIE
from demo.models import User
from tests.browsers import browser, is_in
from tests.devices.asking import answer, asks
from tests.devices.bound_device import Device

SIGN_INS = pytest.mark.parametrize(
    ("sign_in", "account"),
    [
        ("/auth/by-hand-sign-in/", "/auth/by-hand/"),
        ("/auth/cookie-sign-in/", "/auth/cookie-account/"),
        ("/auth/sign-in/", "/auth/account/"),
    ],
    ids=["by-hand", "cookie", "django"],
)
SIGN_IN_PAGES = pytest.mark.parametrize(
    "sign_in", ["/auth/by-hand-sign-in/", "/auth/cookie-sign-in/", "/auth/sign-in/"]
)
ADA = {"username": "ada", "password": "cookies"}


@SIGN_INS
def test_sign_in_and_sign_out(
    sign_in: str, account: str, profile: str, client: Client, ada: User
) -> None:
    assert "welcome" not in client.get(account, follow=True).content.decode()
    response = client.post(sign_in, ADA)
    assert (response.status_code, response.headers["Location"]) == (302, account)
    assert "welcome ada" in client.get(account).content.decode()
    client.post(sign_in.replace("sign-in", "sign-out"))
    assert "welcome" not in client.get(account, follow=True).content.decode()


@SIGN_INS
def test_wrong_password_shows_error_and_signs_nobody_in(
    sign_in: str, account: str, client: Client, ada: User
) -> None:
    response = client.post(sign_in, {"username": "ada", "password": "wrong"})
    assert "Please enter a correct username and password" in response.content.decode()
    assert "welcome" not in client.get(account, follow=True).content.decode()


@pytest.mark.parametrize("page", ["/auth/cookie-account/", "/auth/account/"])
def test_sign_in_redirects_to_requested_page(page: str, client: Client, ada: User) -> None:
    requested = f"{page}?tab=2&word=%C3%A4"
    sign_in_page = client.get(requested, follow=True)
    form = {**ADA, "next": sign_in_page.context["next"]}
    response = client.post(sign_in_page.request["PATH_INFO"], form)
    assert response.headers["Location"] == requested


@SIGN_IN_PAGES
@pytest.mark.parametrize(
    "foreign_url",
    [
        "https://evil.example/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https:evil.example",
        "http:///evil.example",
        " https://evil.example",
        "\thttps://evil.example",
        "java\nscript:alert(1)",
        "javascript:alert(1)",
        "https://testserver@evil.example/",
        "https://testserver.evil.example/",
    ],
)
def test_next_to_another_site_is_ignored(
    foreign_url: str, sign_in: str, client: Client, ada: User
) -> None:
    for response in (
        client.post(sign_in, {**ADA, "next": foreign_url}),
        client.post(f"{sign_in}?{'next='}{foreign_url.replace(chr(10), '%0A')}", ADA),
    ):
        assert response.headers["Location"].startswith("/auth/")


@SIGN_IN_PAGES
def test_next_may_be_absolute_url_of_this_site(sign_in: str, client: Client, ada: User) -> None:
    response = client.post(sign_in, {**ADA, "next": "http://testserver/reading/all-cookies/"})
    assert response.headers["Location"] == "http://testserver/reading/all-cookies/"


@SIGN_IN_PAGES
def test_next_from_https_to_http_is_ignored(sign_in: str, client: Client, ada: User) -> None:
    response = client.post(sign_in, {**ADA, "next": "http://testserver/"}, secure=True)
    assert response.headers["Location"].startswith("/auth/")


@pytest.mark.parametrize("sign_in", ["/auth/by-hand-sign-in/", "/auth/sign-in/"])
def test_sign_in_changes_session_key_and_keeps_data(
    sign_in: str, profile: str, client: Client, ada: User
) -> None:
    client.post("/sessions/set-item/")
    before = client.cookies[settings.SESSION_COOKIE_NAME].value
    client.post(sign_in, ADA)
    assert client.cookies[settings.SESSION_COOKIE_NAME].value != before
    assert client.get("/sessions/get/").content.decode() == "color is blue\n"


def test_one_device_only_signs_out_the_others(profile: str, ada: User, admin: User) -> None:
    here, there, theirs = browser(ada), browser(ada), browser(admin)
    assert here.post("/auth/one-device-only/").text == "1 device is signed out.\n"
    assert [is_in(client) for client in (here, there, theirs)] == [True, False, True]


def test_money_is_sent_after_the_password_was_given_again(profile: str, ada: User) -> None:
    client = browser(ada)
    assert client.get("/auth/ask-again/", follow=True).request["PATH_INFO"] == "/auth/transfer/"
    page = client.post("/auth/transfer/send/", {"amount": "5"})
    assert asks(page)
    assert "5 sent" not in page.text
    assert asks(answer(client, page, "wrong"))
    assert "5 sent" in answer(client, page).text


def test_device_proof_lets_in_whoever_is_not_bound_and_says_so(profile: str, ada: User) -> None:
    client = browser(ada)
    page = client.get("/auth/device-proof/")
    assert page.status_code == 200
    assert "Let in without a proof" in page.text
    assert "Browsers bind sessions over https alone." in page.text
    assert 'href="/bound/"' in page.text
    over_https = client.get("/auth/device-proof/", secure=True)
    assert "This happens in a bound session:" in over_https.text
    assert "Over https" not in over_https.text


@pytest.mark.usefixtures("profile")
def test_device_proof_asks_a_bound_session(settings: Settings, ada: User) -> None:
    settings.DEVICES_BOUND = "offer"
    device = Device().bind(ada)
    assert device.get("/auth/device-proof/").status_code == 307
    assert device.renew().status_code == 200
    page = device.get("/auth/device-proof/")
    assert page.status_code == 200
    assert "the device has proved its key" in page.content.decode()


def test_sign_out_by_hand_keeps_other_data(profile: str, client: Client, ada: User) -> None:
    client.post("/auth/by-hand-sign-in/", ADA)
    client.post("/sessions/set-item/")
    client.post("/auth/by-hand-sign-out/")
    assert client.get("/sessions/get/").content.decode() == "color is blue\n"


def test_forged_login_cookie_fools_only_naive_check(client: Client, ada: User) -> None:
    def verdict() -> list[bool]:
        lines = client.get("/auth/who-lets-you-in/").content.decode().splitlines()
        return ["lets you in" in line for line in lines]

    assert verdict() == [False, False]
    client.get("/auth/forge/")
    assert verdict() == [True, False]
    client.cookies[LOGIN_COOKIE] = "1"
    assert verdict() == [True, False]
    client.post("/auth/cookie-sign-in/", ADA)
    assert verdict() == [True, True]


@pytest.mark.parametrize("path", ["/auth/sign-in/", "/recipes/auth/cookie-sign-in/"])
@pytest.mark.parametrize("debug", [True, False])
def test_sign_in_page_shows_existing_demo_accounts_only_in_debug(
    path: str, client: Client, settings: Settings, ada: User, debug: bool
) -> None:
    settings.DEBUG = debug
    hint = "Demo accounts: ada. Password: cookies."
    assert (hint in client.get(path).content.decode()) == debug
    ada.delete()
    missing = "There is no demo account: manage.py demodata creates some."
    assert (missing in client.get(path).content.decode()) == debug


def test_demodata_lists_accounts_that_can_sign_in(
    client: Client, settings: Settings, db: None
) -> None:
    """``scripts/run`` runs it, so that the accounts exist."""
    assert "\npython manage.py demodata" in Path("scripts/run").read_text()
    settings.DEBUG = True
    for _ in range(2):
        out = StringIO()
        call_command("demodata", stdout=out)
        listed = re.findall(r"Demo account (\w+), password (\w+)", out.getvalue())
        assert len(listed) == 3
    for username, password in listed:
        response = Client().post("/auth/sign-in/", {"username": username, "password": password})
        assert response.status_code == 302


def test_signing_out_nobody_ends_the_session(profile: str, client: Client) -> None:
    client.post("/sessions/set-item/")
    assert client.get("/sessions/get-item/").text == "color is blue\n"
    client.post("/auth/sign-out/")
    assert not client.cookies["sessionid"].value
    assert client.get("/sessions/get-item/").text.startswith("KeyError")


@pytest.mark.parametrize(
    "path",
    [
        "/auth/by-hand-sign-out/",
        "/auth/one-device-only/",
        "/auth/sign-out/",
        "/leaving/sign-out-and-clear/",
    ],
)
def test_signing_out_nobody_says_so(path: str, client: Client, ada: User) -> None:
    assert client.post(path).content.decode().startswith("Nobody was signed in.")
    client.force_login(ada)
    client.post("/auth/by-hand-sign-in/", {"username": "ada", "password": "cookies"})
    assert "Nobody was signed in." not in client.post(path).content.decode()


@pytest.mark.parametrize("debug", [True, False])
def test_form_of_recipe_has_the_demo_account(
    debug: bool, client: Client, settings: Settings, ada: User
) -> None:
    settings.DEBUG = debug
    page = client.get("/recipes/auth/sign-in/").content.decode()
    assert ('value="ada"' in page) == ('value="cookies"' in page) == debug
    ada.delete()
    assert 'value="ada"' not in client.get("/recipes/auth/sign-in/").content.decode()
