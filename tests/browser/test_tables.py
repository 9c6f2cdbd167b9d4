"""The tables of all pages, as a screen reader gets them on wide and narrow screens."""

from collections import Counter

import pytest
from playwright.sync_api import CDPSession, Page

from .test_pages import ALL_PAGES

pytestmark = pytest.mark.long

WITH_TABLES = [
    "/engines/",
    "/from-flask/",
    "/expiry/every-setting/",
    "/lifecycle/side-by-side/",
]

# Safari and older browsers take a table's part that is displayed otherwise for a mere block, unless
# its role is written out.
WITHOUT_ROLE = """
[...document.querySelectorAll(":is(table, thead, tbody, tr, th, td):not([role])")]
  .filter((part) => !getComputedStyle(part).display.startsWith("table"))
  .map((part) => part.outerHTML.slice(0, 80))
"""


def roles(devtools: CDPSession) -> Counter[str]:
    """Return how often each role is in the browser's accessibility tree."""
    nodes = devtools.send("Accessibility.getFullAXTree")["nodes"]
    return Counter(node["role"]["value"] for node in nodes if not node["ignored"])


@pytest.mark.parametrize("width", [1280, 360])
def test_table_has_its_roles(width: int, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    devtools = page.context.new_cdp_session(page)
    for path in WITH_TABLES:
        page.goto(path)
        in_markup = {
            role: page.locator(selector).count()
            for role, selector in {
                "table": "table",
                "row": "tr",
                "columnheader": "thead th",
                "rowheader": "tbody th",
                "cell": "td",
            }.items()
        }
        assert in_markup["columnheader"] > 0, path
        in_tree = roles(devtools)
        assert {role: in_tree[role] for role in in_markup} == in_markup, path
        assert page.evaluate(WITHOUT_ROLE) == [], path


def test_no_other_page_has_a_table(page: Page) -> None:
    for path in ALL_PAGES:
        page.goto(path)
        assert page.locator("table").count() == (path in WITH_TABLES), path
