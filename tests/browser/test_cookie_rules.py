"""The rules that browsers have for cookies, kept by a real one."""

import json

import pytest
from playwright.sync_api import Page, Route, expect

from .recipe_page import jar, run

pytestmark = pytest.mark.long


def sent(page: Page, path: str = "/reading/all-cookies/") -> set[str]:
    """Names of the cookies that came to that address, as the site saw them."""
    page.goto(path)
    return set(json.loads(page.inner_text("pre"))["names"])


def answer(route: Route, page: str) -> None:
    """In place of a site that is not this one, nor has its policy."""
    route.fulfill(content_type="text/html", body=page)


def test_what_expires_goes_by_itself(page: Page) -> None:
    run(page, "cookies/max-age", max_age="2")
    expect(page.locator("[data-jar=sent]")).to_contain_text("color=blue")
    expect(page.locator("[data-jar=sent]")).not_to_contain_text("color", timeout=10_000)
    assert "color" not in jar(page.context)


def test_httponly_is_kept_from_scripts(page: Page) -> None:
    run(page, "cookies/attributes", httponly=True)
    assert page.evaluate("document.cookie") == ""
    assert sent(page) == {"color"}


def test_a_path_is_sent_below_itself_only(page: Page) -> None:
    run(page, "cookies/attributes", path="/reading/")
    assert sent(page) == {"color"}
    page.goto("/recipes/cookies/attributes/")
    assert page.evaluate("document.cookie") == ""


def test_secure_is_not_taken_over_plain_http(page: Page, site: str) -> None:
    """But from this machine itself, which browsers trust without https."""
    run(page, "cookies/attributes", secure=True)
    assert jar(page.context)["color"]["secure"]
    page.context.clear_cookies()
    plain = site.replace("127.0.0.1", "plain.test")
    page.goto(f"{plain}/cookies/attributes/?secure=on")
    page.goto(f"{plain}/cookies/set-cookie/?name=other")
    assert sent(page, f"{plain}/reading/all-cookies/") == {"other"}


@pytest.mark.parametrize(
    ("samesite", "by_link", "by_form"),
    [("Lax", True, False), ("Strict", False, False), ("None", True, True)],
)
def test_samesite_says_whose_requests_carry_it(
    samesite: str, by_link: bool, by_form: bool, page: Page, site: str
) -> None:
    """The requests are those that a page of another site causes."""
    run(page, "cookies/attributes", samesite=samesite, secure=samesite == "None")
    address = f"{site}/reading/all-cookies/"
    other = site.replace("127.0.0.1", "other.test")
    for method, is_sent in (("get", by_link), ("post", by_form)):
        form = f"<form method={method} action={address}><button>go</button></form>"
        page.unroute_all()
        page.route(f"{other}/", lambda route, _, form=form: answer(route, form))
        page.goto(other)
        with page.expect_request(f"{address}*") as request:
            page.click("text=go")
        assert ("color" in request.value.all_headers().get("cookie", "")) == is_sent
