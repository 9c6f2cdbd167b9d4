"""The page that asks first, with scripts and without."""

import pytest
from playwright.sync_api import Browser, Page, expect

from demo.questions import QUESTIONS

from .test_pages import violations

pytestmark = pytest.mark.long

NAME = "delete-the-stored-session"


def test_question_is_answered_without_scripts(browser: Browser, site: str) -> None:
    page = browser.new_context(base_url=site, java_script_enabled=False).new_page()
    page.goto("/questions/")
    card = page.locator(f"#{NAME}")
    card.get_by_role("button").click()
    # The browser itself asks for an answer.
    assert card.locator(".outcome").count() == 0
    card.get_by_label("Yes, it does").check()
    card.get_by_role("button").click()
    outcome = card.get_by_role("status").inner_text()
    assert "Wrong: the answer is “No, it does not”." in outcome
    assert "finds an empty session" in outcome
    assert page.context.cookies()[0]["name"] == "csrftoken"


def test_outcomes_stay_together_and_are_accessible(page: Page) -> None:
    page.goto("/questions/")
    for name, question in QUESTIONS.items():
        card = page.locator(f"#{name}")
        label = str(next(iter(question.choices.values())))
        card.get_by_label(label, exact=True).check()
        button = card.get_by_role("button")
        button.press("Enter")
        expect(card.get_by_role("status")).to_contain_text("What was done")
        expect(button).to_be_focused()
        expect(button).to_have_text("Try again")
    expect(page.locator(".outcome")).to_have_count(len(QUESTIONS))
    expect(page.locator(":checked")).to_have_count(len(QUESTIONS))
    assert violations(page) == []
    assert page.url.endswith("/questions/")


def test_second_answer_replaces_the_first_in_a_region_that_was_there(page: Page) -> None:
    """A screen reader says what comes into a region that it knows."""
    page.goto("/questions/")
    card = page.locator(f"#{NAME}")
    region = card.get_by_role("status").element_handle()
    for label, verdict in (
        ("Yes, it does", "Wrong: the answer is “No, it does not”."),
        ("No, it does not", "Right: “No, it does not”."),
    ):
        card.get_by_label(label).check()
        card.get_by_role("button").press("Enter")
        expect(card.get_by_role("status")).to_contain_text(verdict)
        expect(card.locator(".outcome")).to_have_count(1)
        assert region.evaluate("region => region.isConnected")


def test_refused_form_says_so_and_keeps_other_outcomes(page: Page) -> None:
    page.goto("/questions/")
    answered = page.locator("#use-the-copied-cookie")
    answered.get_by_label("Yes, it does").check()
    answered.get_by_role("button").press("Enter")
    expect(answered.locator(".outcome")).to_be_visible()
    page.context.clear_cookies()
    card = page.locator(f"#{NAME}")
    card.get_by_label("Yes, it does").check()
    card.get_by_role("button").press("Enter")
    expect(card.get_by_role("status")).to_contain_text("Go back, reload the page, and try again.")
    expect(card.get_by_role("button")).to_be_focused()
    expect(answered.locator(".outcome")).to_be_visible()


def test_site_that_does_not_answer(page: Page) -> None:
    page.goto("/questions/")
    card = page.locator(f"#{NAME}")
    card.get_by_label("Yes, it does").check()
    page.context.set_offline(True)
    card.get_by_role("button").press("Enter")
    expect(card.get_by_role("status")).to_contain_text("The site did not answer:")
    page.context.set_offline(False)
    card.get_by_role("button").press("Enter")
    expect(card.locator(".outcome")).to_be_visible()
