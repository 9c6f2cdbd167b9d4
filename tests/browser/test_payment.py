"""The way back from the payment page of another site, on every profile."""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page

from .conftest import sign_in
from .recipe_page import jar
from .test_other_sites import block_third_party_cookies

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def site(site_on_profile: str) -> str:
    return site_on_profile


def pay(page: Page, way: str) -> str:
    """Sign in, order, pay on the other site, and return the order after coming back."""
    sign_in(page)
    page.goto(f"/recipes/payment/{way}/")
    page.click("form[data-recipe] button")
    page.click("text=Open this page")
    order = page.inner_text("[data-order]")
    assert len(order) == 6
    page.click("text=Pay on the other site")
    assert urlsplit(page.url).hostname == "localhost"
    page.click("text=Pay and go back")
    page.wait_for_url("http://127.0.0.1:*/payment/**")
    return order


def is_signed_in(page: Page) -> bool:
    page.goto("/auth/account/")
    return urlsplit(page.url).path == "/auth/account/"


def test_session_is_lost(page: Page) -> None:
    order = pay(page, "lost")
    assert page.inner_text("[data-order]") == "none"
    assert page.inner_text("[data-paid]") == order
    assert not is_signed_in(page)


def test_landing_keeps_session(page: Page) -> None:
    order = pay(page, "landing")
    assert page.inner_text("[data-order]") == order
    assert page.inner_text("[data-paid]") == order
    assert is_signed_in(page)


@pytest.mark.parametrize("are_blocked", [False, True])
def test_cookie_of_order_keeps_session(are_blocked: bool, page: Page) -> None:
    if are_blocked:
        block_third_party_cookies(page)
    order = pay(page, "order-cookie")
    assert f"name the same order, {order}." in page.inner_text("main")
    assert "order" not in jar(page.context)
    page.click("text=Back to the shop")
    assert page.inner_text("[data-order]") == order
    assert is_signed_in(page)
