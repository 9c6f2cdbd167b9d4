"""The page that asks first, in a browser without scripts."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.long


def test_question_is_answered_without_scripts(browser: Browser, site: str) -> None:
    page = browser.new_context(base_url=site, java_script_enabled=False).new_page()
    page.goto("/questions/")
    card = page.locator("#delete-the-stored-session")
    card.get_by_role("button").click()
    # The browser itself asks for an answer.
    assert card.locator(".outcome").count() == 0
    card.get_by_label("Yes, it does").check()
    card.get_by_role("button").click()
    outcome = card.get_by_role("status").inner_text()
    assert "Your guess is wrong here." in outcome
    assert "finds an empty session" in outcome
    assert page.context.cookies()[0]["name"] == "csrftoken"


def test_outcome_is_accessible(page: Page) -> None:
    page.goto("/questions/")
    card = page.locator("#read-the-copied-cookie")
    card.get_by_label("Nothing of it").check()
    card.get_by_role("button").click()
    card.locator(".outcome").wait_for()
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
