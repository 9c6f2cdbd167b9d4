"""Two tabs of a signed-in user: a sign-out, the countdown, and the question for the password."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.conftest import copied
from tests.sites import running

from .conftest import sign_in
from .test_pages import violations

SETTINGS = "--settings=tests.short_sessions"

WARNING = "Your session is about to end."
SIGNED_OUT = "You have been signed out."

# An idle session ends after 8 seconds.
TIMEOUT = 15_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, demo_database: Path) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("site")
    with running(SETTINGS, DATABASE_URL=copied(demo_database, folder)) as address:
        yield address


@pytest.fixture
def tabs(context: BrowserContext) -> list[Page]:
    """Two tabs of one browser, signed in."""
    first, second = sign_in(context.new_page()), context.new_page()
    for tab in (first, second):
        tab.goto("/questions/")
    return [first, second]


def test_other_tab_says_that_the_user_has_signed_out(tabs: list[Page]) -> None:
    first, second = tabs
    expect(second.locator("[data-signed-out]")).not_to_contain_text(SIGNED_OUT)
    first.click(".sign-out button")
    first.wait_for_url("**/auth/sign-in/**")
    notice = second.get_by_role("alert").filter(has_text=SIGNED_OUT)
    expect(notice).to_be_visible()
    # What the tab shows stays.
    expect(second.locator("h1")).to_be_visible()
    notice.get_by_role("link", name="Sign in again").click()
    assert second.url.endswith("/auth/sign-in/?next=/questions/")


def test_other_tab_says_that_the_user_has_signed_out_this_device(tabs: list[Page]) -> None:
    first, second = tabs
    first.goto("/devices/")
    this = first.get_by_role("listitem").filter(has_text="this device")
    this.get_by_role("button", name="Sign out").click()
    first.wait_for_url("**/auth/sign-in/**")
    expect(second.locator("[data-signed-out]")).to_contain_text(SIGNED_OUT, timeout=2_000)


def test_tab_that_becomes_visible_asks(tabs: list[Page], context: BrowserContext) -> None:
    """For example after a sign-out on another device."""
    tab = tabs[1]
    context.clear_cookies(name="sessionid")
    tab.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(tab.locator("[data-signed-out]")).to_contain_text(SIGNED_OUT)


def test_page_warns_and_stays_signed_in_by_a_button(tabs: list[Page]) -> None:
    first, second = tabs
    for tab in tabs:
        expect(tab.get_by_role("alert").filter(has_text=WARNING)).to_be_visible(timeout=TIMEOUT)
    expect(first.locator("[data-left]")).to_contain_text("0:0")
    assert violations(second) == []
    first.get_by_role("button", name="Stay signed in").click()
    for tab in tabs:
        expect(tab.locator("[data-warn]")).not_to_contain_text(WARNING)
    assert urlsplit(first.url).path == "/questions/"
    # Whoever leaves is signed out, and told so.
    for tab in tabs:
        expect(tab.locator("[data-signed-out]")).to_contain_text(SIGNED_OUT, timeout=TIMEOUT)
    expect(first.locator("[data-session-end]")).to_be_hidden()
    second.goto("/auth/account/")
    assert urlsplit(second.url).path == "/auth/sign-in/"


def test_activity_of_another_tab_moves_the_end(tabs: list[Page]) -> None:
    first, second = tabs
    expect(first.locator("[data-warn]")).to_contain_text(WARNING, timeout=TIMEOUT)
    second.reload()
    expect(first.locator("[data-warn]")).not_to_contain_text(WARNING)


@pytest.mark.parametrize("language", ["", "zh_Hans"])
def test_page_without_a_valid_language_warns_too(
    language: str, context: BrowserContext, tabs: list[Page]
) -> None:
    tab = context.new_page()
    tab.route(
        "**/questions/",
        lambda route: route.fulfill(
            body=route.fetch().text().replace('<html lang="en"', f'<html lang="{language}"', 1),
            content_type="text/html",
        ),
    )
    tab.goto("/questions/")
    assert tab.evaluate("document.documentElement.lang") == language
    expect(tab.locator("[data-warn]")).to_contain_text(WARNING, timeout=TIMEOUT)


def test_server_that_did_not_answer_is_asked_again(tabs: list[Page]) -> None:
    tab = tabs[0]
    tab.route("**/devices/status/", lambda route: route.abort())
    with tab.expect_event("requestfailed"):
        tab.reload()
    tab.unroute("**/devices/status/")
    expect(tab.locator("[data-warn]")).to_contain_text(WARNING, timeout=TIMEOUT)


def test_without_scripts_time_and_buttons_are_there(browser: Browser, site: str) -> None:
    context = browser.new_context(base_url=site, java_script_enabled=False)
    page = sign_in(context.new_page())
    page.goto("/questions/")
    assert "Your session ends at" in page.inner_text("[data-session-end]")
    for text in (WARNING, SIGNED_OUT):
        expect(page.get_by_text(text)).to_have_count(0)
    page.click("text=Stay signed in")
    assert urlsplit(page.url).path == "/questions/"
    page.click(".sign-out button")
    assert urlsplit(page.url).path == "/auth/sign-in/"
    context.close()


def is_cached(page: Page, url: str) -> bool:
    """Whether the browser has the response in its cache."""
    options = "{cache: 'only-if-cached', mode: 'same-origin'}"
    return bool(page.evaluate(f"fetch('{url}', {options}).then(() => true, () => false)"))


def test_sign_out_empties_the_cache(page: Page) -> None:
    # An address that no page loads again.
    icon = "/static/demo/cookie.svg?cached"
    sign_in(page)
    page.evaluate(f"fetch('{icon}')")
    page.goto("/questions/")
    assert is_cached(page, icon)
    page.click(".sign-out button")
    page.wait_for_url("**/auth/sign-in/**")
    assert not is_cached(page, icon)


def test_password_is_asked_in_place_and_the_button_then_acts(page: Page) -> None:
    sign_in(page)
    page.goto("/devices/")
    with page.expect_response("**/devices/sign-out-others/") as response:
        page.click("text=Sign out all other devices")
    assert response.value.status == 403
    field = page.get_by_label("Password")
    expect(field).to_be_focused()
    field.fill("guess")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This is not your password.")).to_be_visible()
    assert violations(page) == []
    expect(page.get_by_label("Password")).to_be_focused()
    page.keyboard.type("cookies")
    page.keyboard.press("Enter")
    page.wait_for_url("**/devices/")
    expect(page.get_by_role("status")).to_contain_text("signed")
