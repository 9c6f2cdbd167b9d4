"""The four questions of recipes that end something: what is left is tried, on every engine."""

from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from cookieproj.engines.benchmark.result_cache import memory
from demo.models import User
from tests.browsers import again, browser, key_of
from tests.conftest import on
from tests.families import IN_COOKIES

FORM = {"username": "ada", "password": "cookies"}


@pytest.fixture(autouse=True)
def debug(settings: Settings) -> None:
    settings.DEBUG = True
    settings.ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
    memory.clear()


def box(client: Client, route: str) -> Any:
    return client.get(f"/recipes/{route}/").context["answers"]


def copy_finds_color(key: str) -> bool:
    copy = browser()
    copy.cookies["sessionid"] = key
    return b"color is blue" in copy.get("/sessions/get-item/").content


@pytest.mark.parametrize(
    ("signs_in", "route"),
    [
        ("", "lifecycle/flush"),
        ("", "lifecycle/delete"),
        ("", "leaving/sign-out-and-clear"),
        ("/auth/by-hand-sign-in/", "lifecycle/flush"),
        ("/auth/by-hand-sign-in/", "lifecycle/delete"),
        ("/auth/sign-in/", "lifecycle/flush"),
        ("/auth/sign-in/", "lifecycle/delete"),
        ("/auth/sign-in/", "auth/sign-out"),
        ("/auth/sign-in/", "leaving/sign-out-and-clear"),
    ],
)
@pytest.mark.parametrize("check", ["cookieproj.devices.revocation.is_revoked", ""])
def test_what_is_left_of_an_ended_session(
    check: str, signs_in: str, route: str, profile: str, settings: Settings, ada: User
) -> None:
    settings.SESSION_REVOCATION_CHECK = check
    client = browser()
    client.post("/sessions/set-item/")
    if signs_in:
        client.post(signs_in, FORM)
    before, key = box(client, route), key_of(client)
    assert before.about.startswith("Your session, after this recipe has ended it")
    assert copy_finds_color(key)
    client.post(f"/{route}/")
    after = box(again(client), route)
    assert after.about.startswith("This browser has no session now.")
    assert after.about.endswith(before.about)
    stays = copy_finds_color(key)
    if profile not in IN_COOKIES:
        assert not stays
        assert before.left == after.left == "Nothing: no copy of the cookie opens it."
        assert after.end == before.end == ["It has ended."]
        return
    assert before.left.startswith("Copies of the cookie, which ")
    assert ("which this site refuses" in before.left) != stays
    assert after.left.startswith("Copies of the cookie, which are valid until they expire")
    refuses = "Only if login() had signed the session in does this site refuse them." in after.left
    assert refuses == bool(check)
    assert stays == (not check or signs_in != "/auth/sign-in/")
    is_readable = "it is signed, not encrypted" in after.read[0]
    assert is_readable == (profile == "signed_cookies")


def test_what_is_left_if_the_browser_alone_has_deleted_the_cookie(
    profile: str, client: Client
) -> None:
    client.post("/sessions/set-item/")
    key = key_of(client)
    response = client.post("/leaving/clear-site-data/")
    assert response.headers["Clear-Site-Data"] == '"cookies"'
    without = Client(headers={"host": "localhost"})
    found = box(without, "leaving/clear-site-data")
    assert found.about.startswith("This browser has no session now.")
    without.cookies["sessionid"] = key
    about = box(without, "leaving/clear-site-data").about
    assert about.startswith("Your session, after the browser has deleted its cookie")
    assert copy_finds_color(key)
    assert "A copy of the cookie is valid until the session expires." in found.end
    assert ("The session in the store." in found.left) == (profile not in IN_COOKIES)


def test_cookie_stays_where_the_browser_ignores_clear_site_data(client: Client, db: None) -> None:
    """Browsers ignore the header over http, except on this machine."""
    assert not box(client, "leaving/clear-site-data").left
    assert box(Client(headers={"host": "127.0.0.1"}), "leaving/clear-site-data").left


def test_what_is_left_of_the_sign_in_cookie(client: Client, ada: User) -> None:
    client.post("/auth/cookie-sign-in/", FORM)
    copy = client.cookies["login_auth"].value
    client.post("/auth/cookie-sign-out/")
    found = box(client, "auth/cookie-sign-out")
    assert (
        found.end[1] == "A copy is valid until 14 days after the sign-in, or until a new password."
    )
    assert found.left == "Nothing in this browser. Copies of the cookie stay valid."
    client.cookies["login_auth"] = copy
    assert client.get("/auth/cookie-account/").status_code == 200
    ada.set_password("chocolate")
    ada.save()
    assert client.get("/auth/cookie-account/").status_code == 302


def test_box_shows_what_is_left_and_no_events(client: Client, db: None) -> None:
    page = client.get("/recipes/lifecycle/flush/").content.decode()
    part = page.partition('<section class="four"')[2].partition("</section>")[0]
    assert "What is left of it?" in part
    assert "What does it survive?" not in part
    assert "Kept after:" not in part


@pytest.mark.parametrize(
    ("route", "is_linked"),
    [
        ("cookies/set-cookie", False),
        ("signed/sign", False),
        ("auth/cookie-account", False),
        ("reading/delete", False),
        ("sessions/set-item", True),
        ("lifecycle/flush", True),
        ("in-path/begin", False),
    ],
)
def test_only_answers_about_a_session_lead_to_questions_about_one(
    route: str, is_linked: bool, client: Client, db: None
) -> None:
    page = client.get(f"/recipes/{route}/").content.decode()
    part = page.partition('<section class="four"')[2].partition("</section>")[0]
    assert ('href="/questions/"' in part) == is_linked


@on("signed_cookies", "encrypted_cookies")
def test_output_says_that_a_copy_is_valid_if_no_list_refuses_it(
    profile: str, settings: Settings, ada: User
) -> None:
    settings.SESSION_REVOCATION_CHECK = ""
    client = browser(ada)
    client.post("/sessions/set-item/")
    key = key_of(client)
    output = client.post("/lifecycle/flush/").content.decode()
    assert "A copy of the old cookie opens what is in it, until it expires." in output
    assert copy_finds_color(key)
