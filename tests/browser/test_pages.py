"""Every page in a real browser logs no error, fits its window and is accessible."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page

from demo.recipes import GROUPS, RECIPES
from tests.sites import PAGES

from .conftest import sign_in

pytestmark = pytest.mark.long


ALL_PAGES = [
    *PAGES,
    "/auth/account/",
    "/auth/cookie-sign-in/",
    "/expiry/every-setting/",
    "/lifecycle/side-by-side/",
    "/prefixes/subdomain/",
    "/other-sites/grace/",
    "/other-sites/form/",
    "/other-sites/received/",
    "/other-sites/partitioned-frame/",
    "/other-sites/third-party-frame/",
    "/payment/shop-lost/",
    "/payment/page-lost/",
    "/payment/back-order-cookie/",
    "/in-scripts/cookie-store/",
    "/leaving/page/",
    "/auth/transfer/",
]
ONE_OF_EACH_GROUP = [group.recipes[0].page_url for group in GROUPS]
RECIPE_PAGES = [recipe.page_url for recipe in RECIPES.values()]
# Among them the widest table, the longest form and the longest code.
NARROW = [*ALL_PAGES, "/recipes/cookies/attributes/", "/recipes/auth/cookie-account/"]


@pytest.fixture
def ada(page: Page) -> Page:
    """A page of ada, who is signed in and has an item in her session."""
    page = sign_in(page)
    page.goto("/recipes/sessions/set-item/")
    page.click("form[data-recipe] button")
    page.wait_for_selector(".exchange")
    return page


@pytest.mark.parametrize(
    "paths",
    [
        pytest.param([*ALL_PAGES, *ONE_OF_EACH_GROUP], id="one of each kind"),
        # These pages have one template and the same scripts.
        pytest.param(
            [path for path in RECIPE_PAGES if path not in ONE_OF_EACH_GROUP],
            marks=pytest.mark.matrix,
            id="all others",
        ),
    ],
)
def test_pages_log_no_error(paths: list[str], ada: Page) -> None:
    """Nor does a page load anything from another site."""
    requested: list[str] = []
    ada.on("request", lambda request: requested.append(request.url))
    for path in paths:
        ada.goto(path, wait_until="load")
        assert ada.locator("h1").count() == 1, path
    origin = ada.evaluate("location.origin")
    assert {url for url in requested if not url.startswith(f"{origin}/")} == set()


def test_pages_fit_their_window(ada: Page) -> None:
    for path in NARROW:
        ada.goto(path)
        for width in (1280, 360, 320):
            ada.set_viewport_size({"width": width, "height": 800})
            assert ada.evaluate("document.documentElement.scrollWidth") <= width, path


def violations(page: Page, **options: Any) -> list[str]:
    """Return what violates WCAG 2.2 A and AA or axe's best practices, with its HTML."""
    # To report what passes would take longer than to look for violations.
    options["resultTypes"] = ["violations"]
    results: dict[str, Any] = Axe().run(page, options=options).response
    return [
        f"{rule['id']}: {node['html']}" for rule in results["violations"] for node in rule["nodes"]
    ]


def test_pages_are_accessible(ada: Page) -> None:
    for path in [*ALL_PAGES, *ONE_OF_EACH_GROUP]:
        ada.goto(path)
        assert violations(ada) == [], path
        # The dark scheme differs only in its colours.
        ada.emulate_media(color_scheme="dark")
        assert violations(ada, runOnly=["color-contrast"]) == [], path
        ada.emulate_media(color_scheme="light")


def test_results_are_accessible(ada: Page) -> None:
    for recipe in (
        "cookies/set-cookie",
        "cookies/on-a-redirect",
        "cookies/too-large",
        "expiry/every-setting",
    ):
        ada.goto(f"/recipes/{recipe}/")
        ada.click("form[data-recipe] button")
        ada.wait_for_selector(".exchange")
        assert violations(ada) == [], recipe
    ada.goto("/engines/?stores=redis&holds=little&lasts=stay")
    # Measuring takes seconds even on an idle machine.
    ada.set_default_timeout(300_000)
    ada.click("text=Measure here, now")
    ada.wait_for_selector("figure")
    assert violations(ada) == []


def test_page_without_scripts_says_that_it_needs_them(browser: Browser, site: str) -> None:
    context: BrowserContext = browser.new_context(base_url=site, java_script_enabled=False)
    page = context.new_page()
    page.goto("/recipes/cookies/set-cookie/")
    assert page.locator("text=Needs JavaScript.").first.is_visible()
    assert page.locator("text=Copy as curl").is_hidden()
    context.close()


SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


@pytest.mark.parametrize("width", [360, 1440])
def test_layout_does_not_shift_while_page_loads(width: int, ada: Page) -> None:
    ada.add_init_script(SHIFTS)
    ada.set_viewport_size({"width": width, "height": 900})
    for path in ["/", "/engines/", *ONE_OF_EACH_GROUP[:4], "/recipes/cookies/attributes/"]:
        ada.goto(path, wait_until="networkidle")
        assert ada.evaluate("window.shifted") == 0, path
