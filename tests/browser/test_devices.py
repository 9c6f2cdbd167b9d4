"""Two browsers of one user, on every profile, with a real PostgreSQL and a real Redis."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from cookieproj.profiles import PROFILES
from tests.conftest import new_database
from tests.families import IN_COOKIES
from tests.sites import QUICK, manage, running

from .conftest import sign_in

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)

pytestmark = pytest.mark.long


@dataclass
class Site:
    address: str
    variables: dict[str, str]


@pytest.fixture(scope="module")
def database_url(postgresql_url: str, demo_postgresql: str) -> str:
    """A database of its own, with the demo accounts."""
    return new_database(postgresql_url, "devices", demo_postgresql)


@pytest.fixture(scope="module", params=PROFILES)
def site(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    database_url: str,
    redis_url: str,
    mongodb_url: str,
) -> Iterator[Site]:
    variables = {
        "SESSION_PROFILE": request.param,
        "SESSION_FILE_PATH": str(tmp_path_factory.mktemp("sessions")),
        "DATABASE_URL": database_url,
        "CACHE_URL": f"{redis_url}/6",
        "MONGODB_URL": mongodb_url,
    }
    with running(QUICK, **variables) as address:
        yield Site(address, variables)


@pytest.fixture
def desk(browser: Browser, site: Site) -> Iterator[Page]:
    """A browser without scripts, signed in as ada."""
    context = browser.new_context(base_url=site.address, java_script_enabled=False)
    yield sign_in(context.new_page())
    context.close()


@pytest.fixture
def phone(browser: Browser, site: Site) -> Iterator[Page]:
    """A mobile browser, also signed in as ada."""
    context = browser.new_context(
        base_url=site.address, user_agent=IPHONE, viewport={"width": 390, "height": 844}
    )
    yield sign_in(context.new_page())
    context.close()


def is_in(page: Page) -> bool:
    page.goto("/auth/account/")
    return urlsplit(page.url).path == "/auth/account/"


def fits(page: Page) -> bool:
    """Whether nothing is wider than the screen."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_device_is_signed_out_by_keyboard(desk: Page, phone: Page) -> None:
    desk.goto("/devices/")
    current = desk.locator(".devices li", has_text="this device")
    assert current.count() == 1
    assert "Mobile Safari" not in current.inner_text()
    label = "Sign out Mobile Safari on iOS"
    for _ in range(40):
        desk.keyboard.press("Tab")
        if desk.locator(":focus").get_attribute("aria-label") == label:
            break
    desk.keyboard.press("Enter")
    desk.wait_for_selector("text=Mobile Safari on iOS is signed out.")
    assert desk.url.endswith("/devices/")
    assert not is_in(phone)
    assert is_in(desk)


def test_phone_signs_out_all_other_devices(desk: Page, phone: Page) -> None:
    phone.goto("/devices/")
    phone.click("text=Sign out all other devices")
    phone.wait_for_selector("text=signed out.")
    assert phone.locator(".devices li").count() == 1
    assert not is_in(desk)
    assert is_in(phone)
    phone.goto("/devices/")
    assert fits(phone)


def test_signout_command_signs_out_both_browsers(desk: Page, phone: Page, site: Site) -> None:
    ran = manage("signout", "ada", **site.variables)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("ada is signed out everywhere;")
    assert not is_in(desk)
    assert not is_in(phone)


def test_admin_lists_stored_sessions_and_signs_out_device(
    browser: Browser, site: Site, phone: Page
) -> None:
    context = browser.new_context(base_url=site.address)
    admin = context.new_page()
    admin.goto("/admin/login/")
    admin.fill("[name=username]", "admin")
    admin.fill("[name=password]", "cookies")
    admin.keyboard.press("Enter")
    admin.wait_for_selector("text=Site administration")
    admin.goto("/admin/cookieproj_engines/storedsession/")
    stored_sessions = admin.inner_text("#content")
    admin.set_viewport_size({"width": 390, "height": 800})
    assert fits(admin)
    admin.set_viewport_size({"width": 1280, "height": 800})
    if site.variables["SESSION_PROFILE"] in IN_COOKIES:
        assert "each is kept by its browser alone" in stored_sessions
    else:
        assert "ada" in stored_sessions
    admin.goto("/admin/cookieproj_devices/signedinsession/?q=ada&system=iOS")
    admin.check("[name=_selected_action] >> nth=0")
    admin.select_option("[name=action]", "delete_selected")
    admin.click("button[name=index]")
    admin.click("input[type=submit]")
    admin.wait_for_selector("text=Successfully deleted 1 signed-in session")
    assert not is_in(phone)
    context.close()


def test_unknown_device_id_signs_nobody_out(desk: Page, site: Site) -> None:
    desk.goto("/devices/")
    form = desk.locator(".devices form").first
    form.evaluate("form => form.action = '/devices/00000000-0000-0000-0000-000000000000/sign-out/'")
    form.locator("button").click()
    desk.wait_for_selector("text=That device is already signed out.")
    assert is_in(desk)
