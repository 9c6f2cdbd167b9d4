"""The system's Chromium against the site as people start it.

pytest-playwright's own fixtures, but for those whose event loop Django takes for an async
context: they end with each module instead of with all the tests.
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

from tests.conftest import copied
from tests.sites import QUICK, running

from .chromium import launching

# An answer of 400 is logged as an error; so is Django's header to a host without https.
EXPECTED = ["Failed to load resource", "Cross-Origin-Opener-Policy"]


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    with playwright.chromium.launch(**launching()) as browser:
        yield browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, demo_database: Path) -> Iterator[str]:
    """The address of a site with demo accounts, on the embedded default."""
    folder = tmp_path_factory.mktemp("site")
    variables = {
        "ALLOWED_HOSTS": "127.0.0.1,plain.test,other.test",
        "DATABASE_URL": copied(demo_database, folder),
        "SESSION_BENCHMARK_FILE": str(folder / "benchmark.json"),
    }
    with running(QUICK, **variables) as address:
        yield address


@pytest.fixture
def browser_context_args(site: str) -> dict[str, Any]:
    return {"base_url": site}


@pytest.fixture
def context(context: BrowserContext) -> Iterator[BrowserContext]:
    """In which no page may report an error to the console."""
    wrong: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and not any(text in message.text for text in EXPECTED):
            wrong.append(message.text)

    context.on("console", note)
    context.on("weberror", lambda error: wrong.append(str(error.error)))
    yield context
    assert not wrong


def signed_in(page: Page, username: str = "ada") -> Page:
    page.goto("/auth/sign-in/")
    page.fill("[name=username]", username)
    page.fill("[name=password]", "cookies")
    page.keyboard.press("Enter")
    page.wait_for_url("**/auth/account/")
    return page
