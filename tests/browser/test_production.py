"""The public site over https in a real browser: content security policy, cookies and admin."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests import certificates
from tests.conftest import copied
from tests.sites import in_production

from .conftest import sign_in

ADMIN_PAGES = [
    "/admin/",
    "/admin/cookieproj_devices/",
    "/admin/cookieproj_engines/",
    "/admin/demo/",
    "/admin/demo/user/",
    "/admin/demo/user/1/change/",
    "/admin/cookieproj_devices/signedinsession/",
    "/admin/cookieproj_engines/storedsession/",
    "/admin/auth/group/add/",
    "/admin/password_change/",
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, demo_database: Path) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("site")
    certificate = str(certificates.make(folder))
    with in_production(
        *("--certfile", certificate, "--keyfile", certificate),
        DATABASE_URL=copied(demo_database, folder),
    ) as host:
        yield f"https://{host}"


@pytest.fixture
def browser_context_args(site: str) -> dict[str, Any]:
    return {"base_url": site, "ignore_https_errors": True}


def test_browser_accepts_cookies(page: Page, context: BrowserContext) -> None:
    sign_in(page)
    page.click("text=简体中文")
    page.wait_for_selector("html[lang=zh-hans]")
    cookies = {cookie["name"]: cookie for cookie in context.cookies()}
    assert set(cookies) == {"__Host-sessionid", "__Host-csrftoken", "__Host-language"}
    assert all(cookie["secure"] for cookie in cookies.values())


def test_recipe_runs_once(page: Page) -> None:
    """Without DEBUG its page cannot ask which cookies the browser has."""
    page.goto("/recipes/reading/last-visit/")
    with page.expect_response("**/reading/last-visit/"):
        page.click("form[data-recipe] button")
    expect(page.locator("[data-body]")).to_have_text("This is your first visit.\n")
    expect(page.locator("[data-status]")).to_have_class("status good")
    expect(page.locator("[data-verdicts]")).to_be_hidden()


def test_admin_complies_with_content_security_policy(page: Page) -> None:
    """The fixture ``context`` fails the test if a violation is logged in the console."""
    sign_in(page, "admin")
    for path in ADMIN_PAGES:
        page.goto(path, wait_until="load")
        assert page.locator("#content h1").count() == 1, path
    page.goto("/admin/cookieproj_engines/storedsession/")
    page.click("#result_list a >> nth=0")
    page.wait_for_url("**/change/")
    assert page.locator("#content h1").count() == 1


def test_injected_script_does_not_run(browser: Browser, site: str) -> None:
    context = browser.new_context(base_url=site, ignore_https_errors=True)
    page = context.new_page()
    page.goto("/")
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.injected = document.cookie";
            document.body.append(script);
            const image = "<img src=x onerror='window.injected = 1'>";
            document.body.insertAdjacentHTML("beforeend", image);
        }"""
    )
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.injected") is None
    context.close()
