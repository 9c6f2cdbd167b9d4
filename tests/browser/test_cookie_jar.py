"""Cookies and sessions in a real browser, on every profile."""

import time
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Playwright

from .chromium import launching
from .recipe_page import jar, run

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def site(site_on_profile: str) -> str:
    return site_on_profile


def test_cookie_is_set_read_and_deleted(page: Page) -> None:
    run(page, "cookies/set-cookie", value="red")
    assert jar(page.context)["color"]["value"] == "red"
    assert run(page, "reading/by-name") == "color is red"
    run(page, "reading/delete")
    assert "color" not in jar(page.context)


def test_session_is_set_read_and_ended(page: Page) -> None:
    run(page, "sessions/set-item", value="red")
    cookie = jar(page.context)["sessionid"]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    assert abs(cookie["expires"] - time.time() - 1_209_600) < 60
    assert run(page, "sessions/get-item") == "color is red"
    run(page, "lifecycle/flush")
    assert "sessionid" not in jar(page.context)
    assert run(page, "sessions/get-item").startswith("KeyError")


def test_session_ends_when_browser_closes(
    playwright: Playwright, site: str, tmp_path: Path
) -> None:
    """The browser is closed, and opened again with the same profile folder."""

    def open_browser() -> BrowserContext:
        return playwright.chromium.launch_persistent_context(tmp_path, base_url=site, **launching())

    with open_browser() as context:
        page = context.pages[0]
        run(page, "cookies/max-age", name="persistent", max_age="3600")
        run(page, "cookies/set-cookie", name="temporary")
        run(page, "expiry/at-browser-close")
        assert jar(context).keys() >= {"persistent", "temporary", "sessionid"}
        assert jar(context)["sessionid"]["expires"] == -1
    with open_browser() as context:
        assert jar(context).keys() == {"persistent", "csrftoken"}


def test_chosen_language_is_kept(page: Page) -> None:
    page.goto("/engines/")
    page.click("button[lang=zh-hans]")
    assert page.get_attribute("html", "lang") == "zh-hans"
    assert page.url.endswith("/engines/")
    page.goto("/")
    assert page.get_attribute("html", "lang") == "zh-hans"
    assert jar(page.context)["django_language"]["value"] == "zh-hans"
    page.click("button[lang=en]")
    assert page.get_attribute("html", "lang") == "en"
