"""Recipes whose pages belong to two sites: what they relax, for whom, and that nothing else is."""

from datetime import UTC, datetime, timedelta
from http.cookies import Morsel
from unittest import mock
from urllib.parse import urlsplit

import pytest
import time_machine
from django.core import signing
from django.http import HttpResponse
from django.test import Client, RequestFactory
from pytest_django import Settings

from demo.constants import RECEIPT_SALT
from demo.models import User
from demo.recipes import RECIPES, other_sites, payment
from demo.recipes.local_names import other_origin
from demo.recipes.other_sites import set_partitioned

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FRAMES = ["/other-sites/partitioned-frame/", "/other-sites/third-party-frame/"]
PAGES = [f"/{page.pattern}" for page in (*other_sites.PAGES, *payment.PAGES)]
ROUTES = [
    *("other-sites/grace", "other-sites/partitioned", "other-sites/third-party"),
    *("payment/lost", "payment/landing", "payment/order-cookie", "prefixes/subdomain"),
]


@pytest.fixture(autouse=True)
def development(settings: Settings) -> None:
    settings.DEBUG = True
    settings.ALLOWED_HOSTS = ["127.0.0.1", ".localhost", "[::1]", "testserver"]


@pytest.fixture
def client() -> Client:
    return Client(headers={"host": "127.0.0.1:8000"})


def policy(client: Client, path: str, host: str = "127.0.0.1:8000") -> dict[str, str]:
    response = client.get(path, headers={"host": host})
    assert response.status_code == 200
    is_framable = "X-Frame-Options" not in response.headers
    assert is_framable == (path in FRAMES)
    directives = response.headers["Content-Security-Policy"].split("; ")
    return {name: value for name, _, value in (text.partition(" ") for text in directives)}


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("http://127.0.0.1:8000/", "http://localhost:8000"),
        ("http://localhost:8000/", "http://127.0.0.1:8000"),
        ("https://localhost/", "https://127.0.0.1"),
    ],
)
def test_other_origin(url: str, other: str) -> None:
    parts = urlsplit(url)
    request = RequestFactory().get(
        "/", secure=parts.scheme == "https", headers={"host": parts.netloc}
    )
    assert other_origin(request) == other


@pytest.mark.parametrize("path", FRAMES)
def test_frame_is_allowed_in_pages_of_the_other_local_name_only(path: str, client: Client) -> None:
    assert policy(client, path)["frame-ancestors"] == "http://localhost:8000"
    assert policy(client, path, "localhost:9")["frame-ancestors"] == "http://127.0.0.1:9"
    assert policy(client, path)["form-action"] == "'self'"


def test_other_directives_stay(client: Client, db: None) -> None:
    usual = policy(client, "/")
    for path, directive, value in (
        ("/other-sites/partitioned/", "frame-src", "http://localhost:8000"),
        ("/other-sites/third-party/", "frame-src", "http://localhost:8000"),
        ("/other-sites/form/", "form-action", "'self' http://localhost:8000"),
        ("/payment/page-landing/", "form-action", "'self' http://localhost:8000"),
        ("/other-sites/grace/", "form-action", "'self'"),
    ):
        assert policy(client, path) == usual | {directive: value}


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    ("is_debug", "host"),
    [
        (False, "127.0.0.1"),
        *((True, host) for host in ("testserver", "shop.localhost", "[::1]", "localhost:65536")),
    ],
)
def test_pages_are_served_in_development_under_two_names_only(
    is_debug: bool, host: str, path: str, settings: Settings
) -> None:
    settings.DEBUG = is_debug
    client = Client(headers={"host": host})
    for response in (client.get(path), client.post(path)):
        assert response.status_code == 404


@pytest.mark.parametrize("route", ROUTES)
def test_recipes_say_where_they_run(route: str, profile: str, settings: Settings) -> None:
    recipe = RECIPES[route]
    needs_subdomains = route == "prefixes/subdomain"
    for host, is_debug, runs in (
        ("127.0.0.1", False, False),
        ("testserver", True, False),
        ("localhost:65536", True, False),
        ("127.0.0.1:65535", True, True),
        ("localhost", True, True),
        ("shop.localhost", True, needs_subdomains),
        ("[::1]", True, needs_subdomains),
    ):
        settings.DEBUG = is_debug
        client = Client(headers={"host": host})
        response = client.generic("POST" if "POST" in recipe.methods else "GET", recipe.url)
        # Those that run show a page or lead to one.
        assert (response.headers["Content-Type"] == "text/html; charset=utf-8") == runs
        assert (b"This recipe needs a second name" in response.content) != runs
        assert bool(response.cookies) <= runs
        assert client.get(recipe.page_url).status_code == 200


@pytest.mark.parametrize("knows_attribute", [False, True])
def test_partitioned_is_set_on_every_python(knows_attribute: bool) -> None:
    """Python 3.14 knows the attribute."""
    reserved = {key: text for key, text in Morsel._reserved.items() if key != "partitioned"}  # type: ignore[attr-defined]
    reserved |= {"partitioned": "Partitioned"} if knows_attribute else {}
    flags = Morsel._flags | {"partitioned"}  # type: ignore[attr-defined]
    response = HttpResponse()
    with mock.patch.multiple(Morsel, _reserved=reserved, _flags=flags):
        set_partitioned(response, "name", "value")
        [cookie] = response.cookies.values()
        pair, *attributes = cookie.OutputString().split("; ")
    assert pair == "name=value"
    assert set(attributes) == {"Path=/", "Secure", "SameSite=None", "Partitioned"}


def receipt_for(order: str) -> dict[str, str]:
    return {"receipt": signing.dumps(order, salt=RECEIPT_SALT)}


def order_of(client: Client, way: str) -> str:
    client.post(f"/payment/{way}/")
    order: str = client.session["order"]
    return order


def test_landing_leaves_session_alone(profile: str, ada: User) -> None:
    """Its request has no session cookie, and the response sets none."""
    browser = Client(enforce_csrf_checks=True, headers={"host": "127.0.0.1:8000"})
    response = browser.post("/payment/back-landing/", receipt_for("a"))
    assert response.status_code == 303
    assert not response.cookies
    assert not browser.cookies


def test_receipt_is_for_the_order_of_this_session(profile: str, client: Client) -> None:
    order = order_of(client, "landing")
    for data in ({"receipt": ""}, {"receipt": signing.dumps(order)}, receipt_for("another")):
        client.get("/payment/receipt/", data)
        assert "paid" not in client.session
    client.get("/payment/receipt/", receipt_for(order))
    assert client.session["paid"] == order


def test_receipt_expires(profile: str, client: Client) -> None:
    with time_machine.travel(NOW, tick=False):
        order = order_of(client, "landing")
        receipt = receipt_for(order)
    with time_machine.travel(NOW + timedelta(minutes=20, seconds=1), tick=False):
        client.get("/payment/receipt/", receipt)
        assert "paid" not in client.session
    with time_machine.travel(NOW + timedelta(minutes=20), tick=False):
        client.get("/payment/receipt/", receipt)
        assert client.session["paid"] == order


def test_post_without_receipt_begins_no_session(profile: str) -> None:
    browser = Client(enforce_csrf_checks=True, headers={"host": "127.0.0.1:8000"})
    for data in ({}, {"receipt": "x"}, {"receipt": signing.dumps("a", salt="another")}):
        for way in ("lost", "landing", "order-cookie"):
            browser.post(f"/payment/back-{way}/", data)
    assert not browser.cookies


def test_cookie_of_order_is_narrow(profile: str, client: Client) -> None:
    cookie = client.post("/payment/order-cookie/").cookies["order"]
    assert cookie["path"] == "/payment/back-order-cookie/"
    assert (cookie["samesite"], cookie["secure"], cookie["httponly"]) == ("None", True, True)
    assert cookie["max-age"] == 20 * 60


def test_cookie_of_order_expires(profile: str, client: Client) -> None:
    """A browser might send it for longer than its max-age."""
    path = "/payment/back-order-cookie/"
    with time_machine.travel(NOW, tick=False):
        order = order_of(client, "order-cookie")
    with time_machine.travel(NOW + timedelta(minutes=20, seconds=1), tick=False):
        assert "There is no cookie for this order" in client.post(path, receipt_for(order)).text
    with time_machine.travel(NOW + timedelta(minutes=20), tick=False):
        assert f"the same order, {order}." in client.post(path, receipt_for(order)).text


def test_cookie_and_receipt_must_name_the_same_order(profile: str, client: Client) -> None:
    order = order_of(client, "order-cookie")
    path = "/payment/back-order-cookie/"
    assert "There is no cookie for this order" in client.post(path, receipt_for("another")).text
    assert client.cookies["order"].value
    assert f"the same order, {order}." in client.post(path, receipt_for(order)).text
    assert not client.cookies["order"].value
    assert "There is no cookie for this order" in client.post(path, receipt_for(order)).text


def test_subdomain_recipe_shows_only_its_own_cookies(client: Client) -> None:
    cookies = "sessionid=secret; cart=<b>; cart=2"
    page = client.get("/prefixes/subdomain/", headers={"cookie": cookies}).text
    assert "secret" not in page
    assert "cart=&lt;b&gt;; cart=2" in page


def test_subdomain_tries_to_toss_both_cookies() -> None:
    response = Client(headers={"host": "blog.shop.localhost"}).get("/prefixes/subdomain/")
    assert {(name, cookie["domain"]) for name, cookie in response.cookies.items()} == {
        ("cart", "shop.localhost"),
        ("__Host-cart", "shop.localhost"),
    }
