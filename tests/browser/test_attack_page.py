"""Each attack of /break/, run by its button in a real browser."""

import pytest
from playwright.sync_api import Page, expect

from demo.attacks import ATTEMPTS

from .test_pages import violations

pytestmark = pytest.mark.long


def test_each_button_shows_outcomes_that_fit_and_are_accessible(page: Page) -> None:
    page.goto("/break/")
    for name, attempt in ATTEMPTS.items():
        card = page.locator(f"#{name}")
        card.get_by_role("button").press("Enter")
        expect(card.get_by_role("status")).to_contain_text(str(attempt.why))
        assert card.locator(".trials li").count() >= 4
        expect(page.get_by_role("status")).to_have_count(1)
        for width in (1280, 360, 320):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        # Other attacks have the same markup.
        if name == "steal-a-cookie":
            assert violations(page) == []
    # No attack gives the visitor a session.
    assert "sessionid" not in {cookie["name"] for cookie in page.context.cookies()}
