"""Fixtures for the system's Chromium, and for the site as people start it.

Two of pytest-playwright's fixtures are replaced. Django takes their event loop for an async
context, so they end with each module instead of with the test run.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    sync_playwright,
)

from cookieproj.profiles import PROFILES
from tests import certificates
from tests.conftest import copied
from tests.sites import QUICK, in_production, running

from .bound import launching_with_keys
from .chromium import launching

# Chromium logs a 400 as an error, and two headers on a host without https.
EXPECTED = ["Failed to load resource", "Cross-Origin-Opener-Policy", "Clear-Site-Data"]

# The local names, and names that browsers do not treat as the local machine.
ALLOWED_HOSTS = "127.0.0.1,.localhost,.test"


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    with playwright.chromium.launch(**launching()) as browser:
        yield browser


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that ``browser_with_keys`` trusts."""
    return certificates.make(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def browser_with_keys(playwright: Playwright, certificate: Path) -> Iterator[Browser]:
    """A Chromium that binds sessions to its device."""
    with playwright.chromium.launch(**launching_with_keys(certificate)) as browser:
        yield browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, demo_database: Path) -> Iterator[str]:
    """The URL of a site with demo accounts and the default settings."""
    folder = tmp_path_factory.mktemp("site")
    variables = {
        "ALLOWED_HOSTS": ALLOWED_HOSTS,
        "DATABASE_URL": copied(demo_database, folder),
        "SESSION_BENCHMARK_FILE": str(folder / "benchmark.json"),
    }
    with running(QUICK, **variables) as address:
        yield address


@pytest.fixture(scope="module", params=PROFILES)
def site_on_profile(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    demo_database: Path,
    redis_url: str,
    mongodb_url: str,
) -> Iterator[str]:
    """The URL of a site with demo accounts on each profile, under the local names."""
    folder = tmp_path_factory.mktemp("site")
    variables = {
        "SESSION_PROFILE": request.param,
        "SESSION_FILE_PATH": str(folder / "sessions"),
        "DATABASE_URL": copied(demo_database, folder),
        "CACHE_URL": f"{redis_url}/8",
        "MONGODB_URL": mongodb_url,
    }
    with running(QUICK, **variables) as address:
        yield address


@pytest.fixture(scope="module")
def https_site(tmp_path_factory: pytest.TempPathFactory, demo_database: Path) -> Iterator[str]:
    """The URL of a site like ``site``, over https."""
    folder = tmp_path_factory.mktemp("https_site")
    certificate = str(certificates.make(folder))
    with in_production(
        *("--certfile", certificate, "--keyfile", certificate),
        DEBUG="on",
        ALLOWED_HOSTS=ALLOWED_HOSTS,
        DATABASE_URL=copied(demo_database, folder),
    ) as host:
        yield f"https://{host}"


@pytest.fixture
def browser_context_args(site: str) -> dict[str, Any]:
    return {"base_url": site, "ignore_https_errors": True}


@pytest.fixture
def context(context: BrowserContext) -> Iterator[BrowserContext]:
    """Fail the test if a page logs an error in the console."""
    errors: list[str] = []

    def collect(message: ConsoleMessage) -> None:
        if message.type == "error" and not any(text in message.text for text in EXPECTED):
            errors.append(message.text)

    context.on("console", collect)
    context.on("weberror", lambda error: errors.append(str(error.error)))
    yield context
    assert not errors


def sign_in(page: Page, username: str = "ada") -> Page:
    page.goto("/auth/sign-in/")
    page.fill("[name=username]", username)
    page.fill("[name=password]", "cookies")
    page.keyboard.press("Enter")
    page.wait_for_url("**/auth/account/")
    return page
