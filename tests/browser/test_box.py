"""The box of four questions on a recipe's page describes the latest run."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from .recipe_page import run

pytestmark = pytest.mark.long

BOX = "#answers"


def run_again(page: Page, **fields: str) -> None:
    """Run the recipe whose page is open, with another value."""
    for name, value in fields.items():
        page.fill(f"[name={name}]", value)
    status = page.locator("[data-status]")
    status.evaluate("status => status.className = ''")
    page.click("form[data-recipe] button")
    expect(status).to_have_class(re.compile("good|warning|wrong"))


def test_box_describes_the_run(page: Page) -> None:
    page.goto("/recipes/cookies/attributes/")
    expect(page.locator(BOX)).to_contain_text("1 minute after it was set")
    run(page, "cookies/attributes", max_age="7200", httponly=True)
    expect(page.locator(BOX)).to_contain_text("2 hours after it was set")
    expect(page.locator(BOX)).to_contain_text("Scripts cannot read the cookie (HttpOnly).")
    expect(page.locator(BOX)).to_contain_text("color (expires=")


def test_box_stays_after_a_wrong_value(page: Page) -> None:
    run(page, "cookies/max-age", max_age="7200")
    expect(page.locator(BOX)).to_contain_text("2 hours after it was set")
    with page.expect_response(lambda response: "/recipes/" in response.url) as refreshed:
        run_again(page, name="a b", max_age="60")
    assert "max_age=7200" in refreshed.value.url
    expect(page.locator("[data-status]")).to_have_text("400 Bad Request")
    expect(page.locator(BOX)).to_contain_text("2 hours after it was set")


def test_box_says_that_the_form_has_other_values(page: Page) -> None:
    note = page.locator("[data-other-values]")
    page.goto("/recipes/cookies/max-age/")
    expect(note).to_be_hidden()
    page.fill("[name=max_age]", "7200")
    expect(note).to_be_visible()
    page.locator(BOX).evaluate("box => box.dataset.old = ''")
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(page.locator(f"{BOX}[data-old]")).to_have_count(0)
    expect(note).to_be_visible()
    run_again(page)
    expect(page.locator(BOX)).to_contain_text("2 hours after it was set")
    expect(note).to_be_hidden()
    run_again(page, name="a b")
    expect(page.locator("[data-status]")).to_have_text("400 Bad Request")
    expect(note).to_be_visible()


def test_box_of_a_session_does_not_depend_on_the_form(page: Page) -> None:
    page.goto("/recipes/sessions/set-item/")
    page.fill("[name=value]", "green")
    expect(page.locator("[data-other-values]")).to_be_hidden()


def test_box_says_that_the_run_deleted_the_cookie(page: Page) -> None:
    run(page, "cookies/max-age")
    expect(page.locator(BOX)).to_contain_text("1 minute after it was set")
    run_again(page, max_age="0")
    expect(page.locator(BOX)).to_contain_text("The cookie color, after this recipe has deleted it.")
    expect(page.locator(BOX)).to_contain_text("Nobody: there is nothing left to change.")


def test_box_says_that_the_browser_dropped_the_cookie(page: Page) -> None:
    run(page, "cookies/attributes", samesite="None")
    expect(page.locator(BOX)).to_contain_text("Browsers drop the cookie color")
    expect(page.locator(BOX)).to_contain_text("SameSite=None needs Secure.")
    expect(page.locator(f"{BOX} dl")).to_have_count(0)


def test_box_says_what_is_left_of_a_flushed_session(page: Page) -> None:
    run(page, "sessions/set-item")
    run(page, "lifecycle/flush")
    expect(page.locator(BOX)).to_contain_text("Nothing: no copy of the cookie opens it.")
    expect(page.locator(BOX)).not_to_contain_text("Kept after:")


def test_box_without_scripts_describes_the_values_of_the_form(browser: Browser, site: str) -> None:
    with browser.new_context(base_url=site, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto("/recipes/cookies/attributes/")
        page.fill("[name=max_age]", "7200")
        page.check("[name=httponly]")
        page.get_by_role("button", name="Four questions for these values").click()
        assert "2 hours after it was set" in page.inner_text(BOX)
        assert "Scripts cannot read the cookie (HttpOnly)." in page.inner_text(BOX)
        assert page.input_value("[name=max_age]") == "7200"
        assert page.is_checked("[name=httponly]")
        assert "max_age=7200" in page.inner_text("[data-curl]")
        page.get_by_role("button", name="Run", exact=True).click()
        assert "The response sets color" in page.inner_text("body")
        [cookie] = [cookie for cookie in context.cookies() if cookie.get("name") == "color"]
        assert cookie.get("httpOnly")
