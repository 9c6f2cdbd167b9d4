"""Each attack of /break/, run by its button in a real browser."""

import pytest
from playwright.sync_api import Browser, Page, expect

from demo.attacks import ATTEMPTS

from .test_pages import violations

pytestmark = pytest.mark.long


def test_outcomes_stay_together_fit_and_are_accessible(page: Page) -> None:
    page.goto("/break/")
    for name, attempt in ATTEMPTS.items():
        card = page.locator(f"#{name}")
        button = card.get_by_role("button")
        button.press("Enter")
        expect(card.get_by_role("status")).to_contain_text(str(attempt.why))
        assert card.locator(".trials li").count() >= 4
        expect(button).to_be_focused()
        expect(button).to_have_text("Try again")
        for width in (1280, 360, 320):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    expect(page.locator(".trials")).to_have_count(len(ATTEMPTS))
    assert violations(page) == []
    assert page.url.endswith("/break/")
    # No attack gives the visitor a session.
    assert "sessionid" not in {cookie["name"] for cookie in page.context.cookies()}


def test_attack_is_run_without_scripts(browser: Browser, site: str) -> None:
    page = browser.new_context(base_url=site, java_script_enabled=False).new_page()
    page.goto("/break/")
    for name in ("change-a-character", "type-is-login"):
        page.locator(f"#{name}").get_by_role("button").click()
        page.wait_for_url(f"**/break/{name}/*")
        expect(page.locator(".trials")).to_have_count(1)
        assert page.locator(f"#{name} .trials li").count() >= 4


def test_second_press_while_it_runs_is_ignored(page: Page) -> None:
    page.goto("/break/")
    posted: list[str] = []
    page.on("request", lambda request: posted.append(request.url))
    card = page.locator("#change-a-character")
    page.evaluate(
        """() => {
          const button = document.querySelector("#change-a-character button");
          button.click();
          button.click();
        }"""
    )
    expect(card.locator(".trials")).to_have_count(1)
    expect(card).to_have_attribute("aria-busy", "false")
    assert len(posted) == 1
