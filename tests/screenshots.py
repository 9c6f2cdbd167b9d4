"""Take the README's screenshot: python -m tests.screenshots"""

import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from .browser.chromium import launching
from .sites import ROOT, manage, running

WIDTH, HEIGHT = 1280, 800


def take(address: str, folder: Path) -> None:
    with sync_playwright() as playwright, playwright.chromium.launch(**launching()) as browser:
        context = browser.new_context(
            base_url=address, locale="en-US", viewport={"width": WIDTH, "height": HEIGHT}
        )
        page = context.new_page()
        run(page, "blue")
        run(page, "red")
        save_screenshot(page, folder / "recipe.png")


def run(page: Page, value: str) -> None:
    page.goto("/recipes/sessions/set-item/")
    page.fill("[name=value]", value)
    page.click("form[data-recipe] button")
    page.wait_for_selector(".exchange")
    # The second cookie. wait_for_function uses eval, which the site's policy forbids.
    page.locator("[data-jar=sent] li").nth(1).wait_for()


def save_screenshot(page: Page, path: Path) -> None:
    """Save a screenshot of the whole page, without focus on an element."""
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.screenshot(path=path, full_page=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/db.sqlite3"
        result = manage("migrate", DATABASE_URL=url)
        if result.returncode:
            raise SystemExit(result.stderr)
        with running(DATABASE_URL=url) as address:
            take(address, ROOT / "docs")


if __name__ == "__main__":
    main()
