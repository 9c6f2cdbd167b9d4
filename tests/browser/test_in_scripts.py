"""The Cookie Store API in Chromium, on the recipe's page."""

import pytest
from playwright.sync_api import Page, expect

from .recipe_page import jar, run

pytestmark = pytest.mark.long


def test_httponly_cookie_is_hidden_from_cookie_store(page: Page) -> None:
    page.goto("/in-scripts/seen-and-unseen/")
    page.goto("/in-scripts/cookie-store/")
    expect(page.locator("[data-all]")).to_have_text("seen=1")
    assert page.evaluate("cookieStore.get('unseen')") is None
    page.fill("[name=name]", "unseen")
    for method in ("set", "delete"):
        page.click(f"text=cookieStore.{method}")
        expect(page.locator("[data-outcome]")).to_contain_text("could not be stored")
    assert jar(page.context)["unseen"]["value"] == "1"


def test_cookie_store_sets_and_deletes(page: Page) -> None:
    page.goto("/in-scripts/cookie-store/")
    page.click("text=cookieStore.set")
    expect(page.locator("[data-all]")).to_have_text("color=blue")
    expect(page.locator("[data-events]")).to_have_text("changed: color=blue")
    cookie = jar(page.context)["color"]
    assert (cookie["secure"], cookie["sameSite"], cookie["expires"]) == (True, "Strict", -1)
    page.click("text=cookieStore.delete")
    expect(page.locator("[data-events] li").last).to_have_text("deleted: color")
    expect(page.locator("[data-all]")).to_have_text("none")
    assert "color" not in jar(page.context)


def test_change_by_a_response_is_an_event(page: Page) -> None:
    page.goto("/in-scripts/cookie-store/")
    run(page.context.new_page(), "in-scripts/changed-by-server")
    expect(page.locator("[data-events]")).to_contain_text("changed: seen=")
    expect(page.locator("[data-events]")).not_to_contain_text("unseen")


def test_page_works_where_there_is_no_cookie_store(page: Page, site: str) -> None:
    plain = site.replace("127.0.0.1", "plain.test")
    page.goto(f"{plain}/in-scripts/seen-and-unseen/")
    page.goto(f"{plain}/in-scripts/cookie-store/")
    expect(page.locator("[data-unsupported]")).to_be_visible()
    expect(page.locator("[data-all]")).to_have_text("seen=1")
    expect(page.locator("text=cookieStore.set")).to_be_disabled()


def test_result_leaves_out_hidden_text(page: Page) -> None:
    text = run(page, "in-scripts/cookie-store")
    assert "This page runs a script: open it" in text
    assert "This browser has no cookieStore" not in text
