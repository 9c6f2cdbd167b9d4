"""Signing in, three ways, on every profile."""

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

WAYS = pytest.mark.parametrize(
    ("sign_in", "behind"),
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


@WAYS
def test_in_and_out_again(
    sign_in: str, behind: str, profile: str, client: Client, ada: User
) -> None:
    assert "welcome" not in client.get(behind, follow=True).content.decode()
    response = client.post(sign_in, ADA)
    assert (response.status_code, response.headers["Location"]) == (302, behind)
    assert "welcome ada" in client.get(behind).content.decode()
    client.post(sign_in.replace("sign-in", "sign-out"))
    assert "welcome" not in client.get(behind, follow=True).content.decode()


@WAYS
def test_a_wrong_password_says_so_and_lets_nobody_in(
    sign_in: str, behind: str, client: Client, ada: User
) -> None:
    response = client.post(sign_in, {"username": "ada", "password": "wrong"})
    assert "Please enter a correct username and password" in response.content.decode()
    assert "welcome" not in client.get(behind, follow=True).content.decode()


@pytest.mark.parametrize("page", ["/auth/cookie-account/", "/auth/account/"])
def test_whoever_is_sent_to_sign_in_comes_back(page: str, client: Client, ada: User) -> None:
    wanted = f"{page}?tab=2&word=%C3%A4"
    asked = client.get(wanted, follow=True)
    form = asked.context
    back = client.post(asked.request["PATH_INFO"], {**ADA, "next": form["next"]})
    assert back.headers["Location"] == wanted


@SIGN_IN_PAGES
@pytest.mark.parametrize(
    "elsewhere",
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
def test_next_leads_to_this_site_only(
    elsewhere: str, sign_in: str, client: Client, ada: User
) -> None:
    for response in (
        client.post(sign_in, {**ADA, "next": elsewhere}),
        client.post(f"{sign_in}?{'next='}{elsewhere.replace(chr(10), '%0A')}", ADA),
    ):
        assert response.headers["Location"].startswith("/auth/")


@SIGN_IN_PAGES
def test_next_may_be_this_site_by_its_whole_address(
    sign_in: str, client: Client, ada: User
) -> None:
    response = client.post(sign_in, {**ADA, "next": "http://testserver/reading/all-cookies/"})
    assert response.headers["Location"] == "http://testserver/reading/all-cookies/"


@SIGN_IN_PAGES
def test_next_over_https_stays_there(sign_in: str, client: Client, ada: User) -> None:
    response = client.post(sign_in, {**ADA, "next": "http://testserver/"}, secure=True)
    assert response.headers["Location"].startswith("/auth/")


@pytest.mark.parametrize("sign_in", ["/auth/by-hand-sign-in/", "/auth/sign-in/"])
def test_signing_in_changes_the_key_and_keeps_the_rest(
    sign_in: str, profile: str, client: Client, ada: User
) -> None:
    client.post("/sessions/set-item/")
    before = client.cookies[settings.SESSION_COOKIE_NAME].value
    client.post(sign_in, ADA)
    assert client.cookies[settings.SESSION_COOKIE_NAME].value != before
    assert client.get("/sessions/get/").content.decode() == "color is blue\n"


def test_signing_out_by_hand_keeps_what_else_the_session_holds(
    profile: str, client: Client, ada: User
) -> None:
    client.post("/auth/by-hand-sign-in/", ADA)
    client.post("/sessions/set-item/")
    client.post("/auth/by-hand-sign-out/")
    assert client.get("/sessions/get/").content.decode() == "color is blue\n"


def test_is_login_fools_the_naive_check_alone(client: Client, ada: User) -> None:
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


@pytest.mark.parametrize("debug", [True, False])
def test_demo_accounts_are_told_where_there_may_be_any(
    client: Client, settings: Settings, db: None, debug: bool
) -> None:
    settings.DEBUG = debug
    page = client.get("/auth/sign-in/").content.decode()
    told = "manage.py demodata creates and lists them; scripts/run runs it at startup."
    assert (told in page) == debug


def test_what_is_told_of_them_is_true(client: Client, settings: Settings, db: None) -> None:
    """However the site was started."""
    assert "\npython manage.py demodata" in Path("scripts/run").read_text()
    settings.DEBUG = True
    for _again in range(2):
        out = StringIO()
        call_command("demodata", stdout=out)
        listed = re.findall(r"Demo account (\w+), password (\w+)", out.getvalue())
        assert len(listed) == 3
    for username, password in listed:
        answer = Client().post("/auth/sign-in/", {"username": username, "password": password})
        assert answer.status_code == 302
