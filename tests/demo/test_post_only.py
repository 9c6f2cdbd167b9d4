"""URLs that accept only POST redirect a GET to the page with the button."""

from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from demo.models import User
from demo.questions import QUESTIONS
from demo.recipes import RECIPES
from demo.urls import PAGES
from tests.browsers import IPHONE, browser, is_in, row_of
from tests.conftest import on

SIGN_OUT_OTHERS = "/devices/sign-out-others/"
SIGN_OUT_ONE = "/devices/01234567-89ab-4cde-8f01-23456789abcd/sign-out/"
POST_RECIPES = [recipe for recipe in RECIPES.values() if "GET" not in recipe.methods]
PAGE_OF = {
    SIGN_OUT_OTHERS: "/devices/",
    SIGN_OUT_ONE: "/devices/",
    "/language/": "/",
    "/engines/measure/": "/engines/",
    **{recipe.url: recipe.page_url for recipe in POST_RECIPES},
}
ARGUMENTS: dict[str, list[object]] = {
    "recipe": ["cookies", "max-age"],
    "in-path": ["x", "kitchen"],
    "devices-sign-out": [uuid4()],
    "break-it": ["forge"],
    "answer": [next(iter(QUESTIONS))],
}


@on("db")
@pytest.mark.parametrize("name", [*(page.name for page in PAGES), *RECIPES])
def test_get_and_head_are_not_answered_with_405(name: str, profile: str, ada: User) -> None:
    address = reverse(f"demo:{name}", args=ARGUMENTS.get(name))
    client = browser(ada)
    assert client.get(address).status_code != 405
    assert client.head(address).status_code != 405


@on("db")
@pytest.mark.parametrize("path", PAGE_OF)
def test_get_redirects_to_page_with_button(path: str, profile: str, ada: User) -> None:
    client = browser(ada)
    for method in (client.get, client.head):
        response = method(path)
        assert (response.status_code, response.headers["Location"]) == (302, PAGE_OF[path])
        assert "no-store" in response.headers["Cache-Control"]
    assert client.get(PAGE_OF[path]).status_code == 200
    assert client.put(path).status_code == 405
    assert client.delete(path).status_code == 405
    assert is_in(client)


@pytest.mark.parametrize("path", [SIGN_OUT_OTHERS, SIGN_OUT_ONE])
def test_sign_in_after_post_redirects_to_page_with_button(
    path: str, profile: str, ada: User
) -> None:
    client, other_browser = browser(), browser(ada)
    sign_in_page = client.post(path, follow=True)
    form = {"username": "ada", "password": "cookies", "next": sign_in_page.context["next"]}
    assert form["next"] == path
    response = client.post("/auth/sign-in/", form, follow=True)
    assert response.redirect_chain[-1] == ("/devices/", 302)
    assert "this device" in response.text
    assert is_in(other_browser)


def status_after(client: Client, path: str) -> str:
    response = client.post(path, follow=True)
    assert response.redirect_chain == [("/devices/", 302)]
    status: str = response.text.partition('role="status">')[2].partition("<")[0]
    return status


def test_second_click_says_device_is_already_signed_out(profile: str, ada: User) -> None:
    client, phone = browser(ada), browser(ada, IPHONE)
    path = f"/devices/{row_of(phone).pk}/sign-out/"
    assert status_after(client, path) == "Mobile Safari on iOS is signed out."
    assert status_after(client, path) == "That device is already signed out."
    # It may also have signed out by itself.
    other_browser = browser(ada)
    path = f"/devices/{row_of(other_browser).pk}/sign-out/"
    other_browser.post("/auth/sign-out/")
    assert status_after(client, path) == "That device is already signed out."


def test_message_does_not_reveal_devices_of_other_users(
    profile: str, ada: User, admin: User
) -> None:
    client, admin_browser = browser(ada), browser(admin)
    message = status_after(client, f"/devices/{row_of(admin_browser).pk}/sign-out/")
    assert message == status_after(client, f"/devices/{uuid4()}/sign-out/")
    assert message == "That device is already signed out."
    assert is_in(admin_browser)


@on("db")
def test_second_sign_out_of_others_says_there_are_none(profile: str, ada: User) -> None:
    client, _other_browser = browser(ada), browser(ada)
    assert status_after(client, SIGN_OUT_OTHERS) == "1 device is signed out."
    assert status_after(client, SIGN_OUT_OTHERS) == "No other device is signed in."
