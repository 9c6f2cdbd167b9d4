"""Recipes in a real browser: with its script, without, by keyboard, with a wrong value."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.sites import manage, running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    url = f"sqlite:///{tmp_path_factory.mktemp('site') / 'db.sqlite3'}"
    for command in ("migrate", "demodata"):
        assert manage(command, DATABASE_URL=url).returncode == 0
    with running(DATABASE_URL=url) as address:
        yield address


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    context = browser.new_context(base_url=site)
    yield context.new_page()
    context.close()


def ran(page: Page) -> tuple[str, str, str]:
    """Status, body and document.cookie as the page shows them, once it has an answer."""
    page.wait_for_function("document.querySelector('[data-status]').classList.length > 1")
    return (
        page.inner_text("[data-status]"),
        page.inner_text("[data-body]").strip(),
        page.inner_text("[data-cookies]"),
    )


def test_run_shows_the_answer_and_what_scripts_see(page: Page) -> None:
    page.goto("/recipes/cookies/set-cookie/")
    assert page.inner_text("[data-cookies]") == "JavaScript sees no cookie."
    page.fill("[name=value]", "你好")
    page.click("form[data-recipe] button")
    assert ran(page) == (
        "200 OK",
        "color is set until the browser closes.",
        "color=%E4%BD%A0%E5%A5%BD",
    )
    assert page.url.endswith("/recipes/cookies/set-cookie/")


def test_httponly_is_kept_and_not_seen(page: Page) -> None:
    page.goto("/recipes/cookies/attributes/")
    page.check("[name=httponly]")
    page.click("form[data-recipe] button")
    assert ran(page)[2] == "JavaScript sees no cookie."
    page.goto("/reading/all-cookies/")
    assert '"names": ["color"]' in page.content()


def test_a_wrong_value_is_told_on_the_page(page: Page) -> None:
    page.goto("/recipes/cookies/set-cookie/")
    page.fill("[name=name]", "a b")
    page.click("form[data-recipe] button")
    status, body, cookies = ran(page)
    assert status == "400 Bad Request"
    assert body.startswith("name: A cookie's name takes ASCII")
    assert cookies == "JavaScript sees no cookie."
    assert page.input_value("[name=name]") == "a b"


@pytest.mark.parametrize(
    ("size", "verdict"), [(4096, "browsers keep it"), (4097, "browsers drop it")]
)
def test_a_cookie_over_4096_bytes_is_dropped(size: int, verdict: str, page: Page) -> None:
    page.goto("/recipes/cookies/too-large/")
    page.fill("[name=size]", str(size - len("color")))
    page.click("form[data-recipe] button")
    _, body, cookies = ran(page)
    assert verdict in body
    assert cookies.startswith("color=x") == ("keep" in verdict)


def test_a_delete_with_another_path_deletes_nothing(page: Page) -> None:
    for recipe in ("cookies/set-cookie", "reading/delete-elsewhere"):
        page.goto(f"/recipes/{recipe}/")
        page.click("form[data-recipe] button")
        assert ran(page)[2] == "color=blue"
    page.goto("/recipes/reading/delete/")
    page.click("form[data-recipe] button")
    assert ran(page)[2] == "JavaScript sees no cookie."


def test_max_age_wins_over_expires(page: Page) -> None:
    page.goto("/recipes/cookies/max-age-and-expires/")
    page.fill("[name=max_age]", "0")
    page.click("form[data-recipe] button")
    assert ran(page)[2] == "JavaScript sees no cookie."


def test_by_keyboard_alone(page: Page) -> None:
    page.goto("/recipes/sessions/set-item/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.focus("[name=value]")
    page.keyboard.press("Enter")
    status, body, cookies = ran(page)
    assert (status, body) == ("200 OK", "color is set to blue")
    assert "sessionid" not in cookies


def test_without_a_script_the_raw_result_opens(browser: Browser, site: str) -> None:
    context = browser.new_context(base_url=site, java_script_enabled=False)
    page = context.new_page()
    page.goto("/recipes/sessions/visits/")
    page.click("main form button")
    assert page.url == f"{site}/sessions/visits/"
    assert "Visit number 1." in page.content()
    context.close()


def test_sign_in_and_come_back(page: Page, site: str) -> None:
    page.goto("/auth/account/")
    page.fill("[name=username]", "ada")
    page.fill("[name=password]", "cookies")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site}/auth/account/")
    assert page.inner_text("h1") == "welcome ada"


def test_biscuits_without_cookies(page: Page) -> None:
    page.goto("/recipes/in-path/begin/")
    page.context.clear_cookies()
    page.click("main form button")
    page.click("main form button")
    page.click("text=Go to the pantry")
    assert "1 biscuit eaten" in page.inner_text("main")
    assert page.context.cookies() == []


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize(
    "path",
    ["/", "/recipes/cookies/attributes/", "/expiry/every-setting/", "/lifecycle/side-by-side/"],
)
def test_no_page_is_wider_than_its_window(path: str, width: int, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
