"""What stays in Chromium after somebody has signed out."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from tests import certificates

from .chromium import WITH_WINDOWS, launching
from .conftest import sign_in
from .echo import address, echoing
from .recipe_page import jar, run

pytestmark = pytest.mark.long

CLEAR = ("Clear-Site-Data", '"cookies"')


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """A Chromium with its bfcache: Playwright turns it off, and the headless shell has none."""
    options = launching(WITH_WINDOWS) | {"ignore_default_args": ["--disable-back-forward-cache"]}
    with playwright.chromium.launch(**options) as browser:
        yield browser


def go_back(page: Page) -> None:
    """Playwright's default waits for the event ``load``, which a page from the bfcache lacks."""
    page.go_back(wait_until="commit")


@pytest.mark.parametrize(
    ("path", "heading"),
    [("/leaving/page/", "For ada only"), ("/leaving/no-store-page/", "Sign in")],
)
def test_back_after_signing_out(path: str, heading: str, page: Page) -> None:
    sign_in(page)
    page.goto(path)
    page.click("main button")
    page.wait_for_url("**/auth/sign-in/")
    go_back(page)
    expect(page.locator("h1")).to_have_text(heading)


@pytest.mark.parametrize(
    ("next_page", "is_kept"), [("/reading/all-cookies/", True), ("/cookies/set-cookie/", False)]
)
def test_no_store_page_is_kept_until_a_cookie_changes(
    next_page: str, is_kept: bool, page: Page
) -> None:
    response = page.goto("/limits/count-them/")
    assert response
    assert "no-store" in response.headers["cache-control"]
    page.evaluate("window.isKept = true")
    page.goto(next_page)
    go_back(page)
    expect(page.locator("pre")).to_contain_text("numbered cookies")
    assert page.evaluate("window.isKept === true") == is_kept


def is_in(page: Page, session_key: str, site: str) -> bool:
    page.context.add_cookies([{"name": "sessionid", "value": session_key, "url": site}])
    page.goto("/auth/account/")
    return page.inner_text("h1") == "welcome ada"


def test_clear_site_data_deletes_every_cookie_and_no_session(page: Page, site: str) -> None:
    sign_in(page)
    session_key = jar(page.context)["sessionid"]["value"]
    page.goto("/limits/two-paths/")
    page.goto("/in-scripts/seen-and-unseen/")
    run(page, "leaving/clear-site-data")
    # The page has fetched a new token since.
    assert jar(page.context).keys() <= {"csrftoken"}
    assert is_in(page, session_key, site)
    run(page, "leaving/sign-out-and-clear")
    assert jar(page.context).keys() <= {"csrftoken"}
    assert not is_in(page, session_key, site)


@pytest.fixture(scope="module")
def echo_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with echoing(certificates.make(tmp_path_factory.mktemp("certificate"))) as port:
        yield port


def test_clear_site_data_reaches_the_site_and_the_same_response(
    browser: Browser, echo_port: int
) -> None:
    shop, parent = f"https://shop.example.test:{echo_port}", f"https://example.test:{echo_port}"
    with browser.new_context(ignore_https_errors=True) as context:
        page = context.new_page()
        page.goto(address(parent, ("Set-Cookie", "parent=1")))
        page.goto(address(shop, ("Set-Cookie", "shop=1")))
        assert jar(context).keys() == {"parent", "shop"}
        page.goto(address(shop, ("Set-Cookie", "before=1"), CLEAR, ("Set-Cookie", "after=1")))
        assert jar(context) == {}


def test_clear_site_data_is_ignored_over_http(page: Page) -> None:
    """Except on this machine: see above."""
    with echoing() as port:
        plain = f"http://plain.test:{port}"
        page.goto(address(plain, ("Set-Cookie", "color=blue")))
        page.goto(address(plain, CLEAR))
        page.goto(plain)
        assert page.inner_text("body") == "color=blue"
