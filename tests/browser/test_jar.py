"""Cookies in the jar of a real browser, on every profile, and the rules it has for them."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Playwright, expect

from cookieproj.profiles import PROFILES
from tests.conftest import copied
from tests.sites import running

from .conftest import launching

pytestmark = pytest.mark.long


@pytest.fixture(scope="module", params=PROFILES)
def site(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    demo_database: Path,
    redis_url: str,
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("site")
    variables = {
        "SESSION_PROFILE": request.param,
        "SESSION_FILE_PATH": str(folder / "sessions"),
        "DATABASE_URL": copied(demo_database, folder),
        "CACHE_URL": f"{redis_url}/8",
        "ALLOWED_HOSTS": "127.0.0.1,plain.test,other.test",
    }
    with running(**variables) as address:
        yield address


def run(page: Page, recipe: str, **fields: Any) -> str:
    """What the recipe answered."""
    page.goto(f"/recipes/{recipe}/")
    for name, value in fields.items():
        field = page.locator(f"[name={name}]")
        if isinstance(value, bool):
            field.set_checked(value)
        elif field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    page.click("form[data-recipe] button")
    page.wait_for_selector("[data-status].good")
    return page.inner_text("[data-body]").strip()


def jar(context: BrowserContext) -> dict[str, Any]:
    """What the browser holds, by name."""
    return {str(cookie.get("name")): cookie for cookie in context.cookies()}


def sent(page: Page, path: str = "/reading/all-cookies/") -> set[str]:
    """Names of the cookies that came to that address, as the site saw them."""
    page.goto(path)
    return set(json.loads(page.inner_text("pre"))["names"])


def test_a_cookie_is_set_read_and_deleted(page: Page) -> None:
    run(page, "cookies/set-cookie", value="red")
    assert jar(page.context)["color"]["value"] == "red"
    assert run(page, "reading/by-name") == "color is red"
    run(page, "reading/delete")
    assert "color" not in jar(page.context)


def test_a_session_is_set_read_and_ended(page: Page) -> None:
    run(page, "sessions/set-item", value="red")
    cookie = jar(page.context)["sessionid"]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    assert abs(cookie["expires"] - time.time() - 1_209_600) < 60
    assert run(page, "sessions/get-item") == "color is red"
    run(page, "lifecycle/flush")
    assert "sessionid" not in jar(page.context)
    assert run(page, "sessions/get-item").startswith("KeyError")


def test_a_session_that_ends_with_the_browser(
    playwright: Playwright, site: str, tmp_path: Path
) -> None:
    """The browser is closed, and opened again on the same profile folder."""

    def opened() -> BrowserContext:
        return playwright.chromium.launch_persistent_context(tmp_path, base_url=site, **launching())

    with opened() as context:
        page = context.pages[0]
        run(page, "cookies/max-age", name="stays", max_age="3600")
        run(page, "cookies/set-cookie", name="goes")
        run(page, "expiry/at-browser-close")
        assert jar(context).keys() >= {"stays", "goes", "sessionid"}
        assert jar(context)["sessionid"]["expires"] == -1
    with opened() as context:
        assert jar(context).keys() == {"stays", "csrftoken"}
    with opened() as context:
        run(context.pages[0], "expiry/in-seconds", seconds="3600")
    with opened() as context:
        assert "sessionid" in jar(context)


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
    for method, is_sent in (("get", by_link), ("post", by_form)):
        page.goto(site.replace("127.0.0.1", "other.test"))
        form = f"<form method={method} action={address}><button>go</button></form>"
        page.evaluate("form => document.body.innerHTML = form", form)
        with page.expect_request(f"{address}*") as request:
            page.click("text=go")
        assert ("color" in request.value.all_headers().get("cookie", "")) == is_sent


def test_the_language_is_chosen_and_kept(page: Page) -> None:
    page.goto("/engines/")
    page.click("button[lang=zh-hans]")
    assert page.get_attribute("html", "lang") == "zh-hans"
    assert page.url.endswith("/engines/")
    page.goto("/")
    assert page.get_attribute("html", "lang") == "zh-hans"
    assert jar(page.context)["django_language"]["value"] == "zh-hans"
    page.click("button[lang=en]")
    assert page.get_attribute("html", "lang") == "en"
