"""The comparison of the engines on a narrow screen, and its button while it measures."""

import pytest
from playwright.sync_api import Browser, Page, Route, expect

pytestmark = pytest.mark.long


def test_names_of_rows_stay_beside_the_engines(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto("/engines/")
    table = page.locator(".scroll.engines")
    row = table.locator("tbody tr").first
    table.evaluate("table => { table.scrollLeft = table.scrollWidth; }")
    head, last = (
        cell.evaluate(
            "cell => [cell.getBoundingClientRect().left, cell.getBoundingClientRect().right]"
        )
        for cell in (row.locator("th"), row.locator("td").last)
    )
    assert 0 <= head[0] < head[1] <= last[0] < last[1] <= 360
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_button_says_that_it_measures_and_measures_once(page: Page) -> None:
    measured: list[str] = []

    def answer(route: Route) -> None:
        measured.append(route.request.method)
        route.fulfill(status=302, headers={"Location": "/engines/#costs"})

    page.route("**/engines/measure/", answer)
    page.goto("/engines/")
    form = page.locator("form.measure")
    expect(form).to_contain_text("That takes a few seconds.")
    expect(form.get_by_role("status")).to_have_text("")
    said = page.evaluate(
        """() => {
          const form = document.querySelector("form.measure");
          form.querySelector("button").click();
          form.querySelector("button").click();
          return form.querySelector("[role=status]").textContent;
        }"""
    )
    assert said.startswith("Measuring.")
    page.wait_for_url("**/engines/#costs")
    expect(form.get_by_role("status")).to_have_text("")
    assert measured == ["POST"]


def test_measuring_works_without_scripts(browser: Browser, site: str) -> None:
    page = browser.new_context(base_url=site, java_script_enabled=False).new_page()
    page.goto("/engines/")
    page.locator("form.measure button").click()
    page.wait_for_url("**/engines/#costs")
    assert page.locator("figure").count() == 5
