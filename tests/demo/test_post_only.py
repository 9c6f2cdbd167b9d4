"""Addresses that take a POST alone: a look leads to the page that has the button."""

from uuid import uuid4

import pytest
from django.test import Client
from django.urls import URLPattern, reverse

from demo.models import User
from demo.recipes import RECIPES
from demo.urls import urlpatterns
from tests.browsers import IPHONE, browser, is_in, row_of
from tests.conftest import on

OTHERS = "/devices/sign-out-others/"
ONE = "/devices/01234567-89ab-4cde-8f01-23456789abcd/sign-out/"
RUNS = [recipe for recipe in RECIPES.values() if "GET" not in recipe.methods]
LEADS = {
    OTHERS: "/devices/",
    ONE: "/devices/",
    "/language/": "/",
    "/engines/measure/": "/engines/",
    **{recipe.url: recipe.page_url for recipe in RUNS},
}
ARGUMENTS: dict[str, list[object]] = {
    "recipe": ["cookies", "max-age"],
    "in-path": ["x", "kitchen"],
    "devices-sign-out": [uuid4()],
    "break-it": ["forge"],
}


@on("db")
@pytest.mark.parametrize("pattern", urlpatterns, ids=[str(each.name) for each in urlpatterns])
def test_no_address_answers_a_look_with_405(pattern: URLPattern, profile: str, ada: User) -> None:
    name = str(pattern.name)
    address = reverse(f"demo:{name}", args=ARGUMENTS.get(name))
    client = browser(ada)
    assert client.get(address).status_code != 405
    assert client.head(address).status_code != 405


@on("db")
@pytest.mark.parametrize("path", LEADS)
def test_a_look_leads_to_the_page_with_the_button(path: str, profile: str, ada: User) -> None:
    client = browser(ada)
    for look in (client.get, client.head):
        answer = look(path)
        assert (answer.status_code, answer.headers["Location"]) == (302, LEADS[path])
        assert "no-store" in answer.headers["Cache-Control"]
    assert client.get(LEADS[path]).status_code == 200
    assert client.put(path).status_code == 405
    assert client.delete(path).status_code == 405
    assert is_in(client)


@pytest.mark.parametrize("path", [OTHERS, ONE])
def test_so_it_is_after_signing_in(path: str, profile: str, ada: User) -> None:
    client, other = browser(), browser(ada)
    asked = client.post(path, follow=True)
    form = {"username": "ada", "password": "cookies", "next": asked.context["next"]}
    assert form["next"] == path
    answer = client.post("/auth/sign-in/", form, follow=True)
    assert answer.redirect_chain[-1] == ("/devices/", 302)
    assert "this device" in answer.text
    assert is_in(other)


def said(client: Client, path: str) -> str:
    answer = client.post(path, follow=True)
    assert answer.redirect_chain == [("/devices/", 302)]
    status: str = answer.text.partition('role="status">')[2].partition("<")[0]
    return status


def test_a_second_click_is_told_that_the_device_is_signed_out(profile: str, ada: User) -> None:
    client, other = browser(ada), browser(ada, IPHONE)
    path = f"/devices/{row_of(other).pk}/sign-out/"
    assert said(client, path) == "Mobile Safari on iOS is signed out."
    assert said(client, path) == "That device is already signed out."
    # Elsewhere too it may have been.
    again = browser(ada)
    path = f"/devices/{row_of(again).pk}/sign-out/"
    again.post("/auth/sign-out/")
    assert said(client, path) == "That device is already signed out."


def test_nobody_learns_by_that_whether_there_is_a_device_of_somebody_else(
    profile: str, ada: User, admin: User
) -> None:
    client, theirs = browser(ada), browser(admin)
    of_theirs = said(client, f"/devices/{row_of(theirs).pk}/sign-out/")
    assert of_theirs == said(client, f"/devices/{uuid4()}/sign-out/")
    assert of_theirs == "That device is already signed out."
    assert is_in(theirs)


@on("db")
def test_who_has_signed_out_all_others_twice_reads_that_there_is_none(
    profile: str, ada: User
) -> None:
    client, _other = browser(ada), browser(ada)
    assert said(client, OTHERS) == "1 device is signed out."
    assert said(client, OTHERS) == "No other device is signed in."
