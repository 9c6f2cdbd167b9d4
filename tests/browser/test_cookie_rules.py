"""A real browser follows the rules for cookies."""

import json

import pytest
from playwright.sync_api import Page, Route, expect

from .recipe_page import jar, run

pytestmark = pytest.mark.long


def received_cookies(page: Page, path: str = "/reading/all-cookies/") -> set[str]:
    """Return the names of the cookies that the site receives at that URL."""
    page.goto(path)
    return set(json.loads(page.inner_text("pre"))["names"])


def fulfill(route: Route, page: str) -> None:
    """Answer as another site, which does not have this site's content security policy."""
    route.fulfill(content_type="text/html", body=page)


def test_expired_cookie_is_deleted(page: Page) -> None:
    run(page, "cookies/max-age", max_age="2")
    expect(page.locator("[data-jar=sent]")).to_contain_text("color=blue")
    expect(page.locator("[data-jar=sent]")).not_to_contain_text("color", timeout=10_000)
    assert "color" not in jar(page.context)


def test_httponly_cookie_is_hidden_from_scripts(page: Page) -> None:
    run(page, "cookies/attributes", httponly=True)
    assert page.evaluate("document.cookie") == ""
    assert received_cookies(page) == {"color"}


def test_cookie_is_sent_only_below_its_path(page: Page) -> None:
    run(page, "cookies/attributes", path="/reading/")
    assert received_cookies(page) == {"color"}
    page.goto("/recipes/cookies/attributes/")
    assert page.evaluate("document.cookie") == ""


def test_secure_cookie_is_refused_over_http(page: Page, site: str) -> None:
    """Except from the local machine, which browsers trust without https."""
    run(page, "cookies/attributes", secure=True)
    assert jar(page.context)["color"]["secure"]
    page.context.clear_cookies()
    plain = site.replace("127.0.0.1", "plain.test")
    page.goto(f"{plain}/cookies/attributes/?secure=on")
    page.goto(f"{plain}/cookies/set-cookie/?name=other")
    assert received_cookies(page, f"{plain}/reading/all-cookies/") == {"other"}


@pytest.mark.parametrize(
    ("samesite", "by_link", "by_form"),
    [("Lax", True, False), ("Strict", False, False), ("None", True, True)],
)
def test_samesite_limits_requests_from_other_sites(
    samesite: str, by_link: bool, by_form: bool, page: Page, site: str
) -> None:
    """The requests come from a page of another site."""
    run(page, "cookies/attributes", samesite=samesite, secure=samesite == "None")
    address = f"{site}/reading/all-cookies/"
    other_site = site.replace("127.0.0.1", "other.test")
    for method, is_sent in (("get", by_link), ("post", by_form)):
        form = f"<form method={method} action={address}><button>go</button></form>"
        page.unroute_all()
        page.route(f"{other_site}/", lambda route, _, form=form: fulfill(route, form))
        page.goto(other_site)
        with page.expect_request(f"{address}*") as request:
            page.click("text=go")
        assert ("color" in request.value.all_headers().get("cookie", "")) == is_sent
