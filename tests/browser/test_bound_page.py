"""The page about bound sessions in a browser that binds them: its steps, and the theft."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from cookieproj.devices.bound.admission import GRACE
from tests.conftest import copied
from tests.sites import in_production

from .conftest import sign_in
from .recipe_page import run
from .test_pages import violations

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def browser(browser_with_keys: Browser) -> Browser:
    return browser_with_keys


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, certificate: Path, demo_database: Path
) -> Iterator[str]:
    """As the page says: one process with threads, so that its cache remembers every request."""
    with in_production(
        *("--certfile", str(certificate), "--keyfile", str(certificate)),
        *("--workers", "1", "--threads", "8"),
        DEBUG="on",
        DEVICES_BOUND="offer",
        ALLOWED_HOSTS="localhost",
        DATABASE_URL=copied(demo_database, tmp_path_factory.mktemp("site")),
    ) as host:
        yield f"https://localhost:{host.partition(':')[2]}"


@pytest.fixture
def browser_context_args(site: str) -> dict[str, str]:
    return {"base_url": site}


@pytest.fixture
def ada(page: Page) -> Page:
    """A page of ada, whose session is bound and was opened with the bound cookie."""
    sign_in(page)
    page.goto("/bound/")
    for _attempt in range(50):
        if page.get_by_text("unless the browser renews it before").count():
            return page
        page.reload()
    raise AssertionError("The browser has bound no session.")


def test_steps_of_this_browser_are_shown(ada: Page) -> None:
    ada.get_by_role("link", name="Ask this browser for a proof").click()
    expect(ada.locator(".status")).to_contain_text("Let in: the device has proved its key")
    offer, registration, demand, renewal = ada.locator("#handshake ~ .steps li").all()
    expect(offer).to_contain_text("Secure-Session-Registration: (ES256 RS256);path=")
    expect(registration).to_contain_text('"typ": "dbsc+jwt"')
    expect(registration).to_contain_text("Set-Cookie: __Host-bound_session=")
    expect(demand).to_contain_text("307 Temporary Redirect")
    expect(renewal).to_contain_text("Sec-Secure-Session-Id:")
    expect(renewal).to_contain_text("Set-Cookie: __Host-bound_session=")
    assert violations(ada) == []
    for width in (1280, 360, 320):
        ada.set_viewport_size({"width": width, "height": 800})
        assert ada.evaluate("document.documentElement.scrollWidth") <= width


def test_recipe_of_a_proof_shows_its_redirect(ada: Page) -> None:
    text = run(ada, "auth/device-proof")
    assert "Let in: the device has proved its key for this very request." in text
    assert ada.inner_text("[data-status]").startswith("200 OK")
    expect(ada.locator("[data-wire]")).to_contain_text("307 Temporary Redirect")
    assert violations(ada) == []


def test_theft_by_keyboard(ada: Page) -> None:
    """After the first seconds, in which the session opens without the bound cookie."""
    button = ada.locator("#steal button")
    for _number in range(80):
        ada.keyboard.press("Tab")
        if button.evaluate("button => button === document.activeElement"):
            break
    rows = ada.locator("#steal tbody tr")
    expect(rows).to_have_count(0)
    ada.keyboard.press("Enter")
    expect(rows).to_have_count(5)
    for _attempt in range(2 * GRACE + 10):
        if "stranger" in rows.nth(0).inner_text():
            break
        ada.wait_for_timeout(500)
        ada.keyboard.press("Enter")
        expect(ada.locator("#steal")).to_have_attribute("aria-busy", "false")
    expect(button).to_be_focused()
    for number, text in enumerate(["stranger", "opens", "stranger", "cannot prove", "opens"]):
        expect(rows.nth(number)).to_contain_text(text)
    assert violations(ada) == []
    ada.goto("/auth/account/")
    expect(ada.get_by_role("heading", level=1)).to_have_text("welcome ada")
