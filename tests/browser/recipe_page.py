"""Running a recipe on its page, and reading the browser's cookies."""

from typing import Any

from playwright.sync_api import BrowserContext, Page


def run(page: Page, recipe: str, **fields: Any) -> str:
    """Run the recipe, and return the text of its response. The browser may drop its cookies."""
    page.goto(f"/recipes/{recipe}/")
    for name, value in fields.items():
        field = page.locator(f"[name={name}]")
        if isinstance(value, bool):
            field.set_checked(value)
        elif field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    page.click("form[data-recipe] button")
    page.wait_for_selector("[data-status]:is(.good, .warning)")
    return page.inner_text("[data-body]").strip()


def jar(context: BrowserContext) -> dict[str, Any]:
    """Return the browser's cookies by name."""
    return {str(cookie.get("name")): cookie for cookie in context.cookies()}
