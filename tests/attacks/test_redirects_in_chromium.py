"""The same, as a real browser judges it."""

from playwright.sync_api import Page

from tests.browser.conftest import (  # noqa: F401 - fixtures
    browser,
    browser_context_args,
    context,
    playwright,
    site,
)

from .conftest import Judged, Some
from .foreign_urls import EVIL, leads_away, spellings

WORST = [
    f"//{EVIL}", f"///{EVIL}", f"/\\{EVIL}", f"\\\\{EVIL}", f"https:{EVIL}", f"http:///{EVIL}",
    f"/\t/{EVIL}", f"\x01//{EVIL}", f"//127.0.0.1@{EVIL}", f"hTtPs:\\\\{EVIL}", f"//{EVIL}#a@b",
    f"http://127.0.0.1.{EVIL}", "javascript:document.body.replaceChildren()", "data:text/html,away",
]  # fmt: skip

ORIGINS = """
texts => texts.map(text => {
    try { return new URL(text, 'http://testserver/auth/sign-in/').origin }
    catch { return null }
})
"""

SUBMIT = """
next => {
    const form = document.querySelector('form:not(.language)')
    form.elements['next'].value = next
    form.elements['username'].value = 'ada'
    form.elements['password'].value = 'cookies'
    form.requestSubmit()
}
"""


def test_whatever_leads_away_there_is_judged_so_here(page: Page) -> None:
    texts = list(spellings())
    origins = page.evaluate(ORIGINS, texts)
    away = {
        text
        for text, origin in zip(texts, origins, strict=True)
        if origin not in {None, "http://testserver"}
    }
    assert len(away) > 100
    assert [text for text in away if not leads_away(text)] == []


def test_it_stays_on_the_site(
    page: Page,
    site: str,  # noqa: F811
    some: Some,
    judged: Judged,
) -> None:
    """The next page of a sign-in, sent past what the page had in its form."""
    tries, lost = some(WORST, 5), []
    for text in tries:
        page.context.clear_cookies()
        page.goto("/auth/sign-in/")
        with page.expect_navigation():
            page.evaluate(SUBMIT, text)
        is_here = page.url.startswith(f"{site}/") and "welcome ada" in page.content()
        lost += [] if is_here else [(text, page.url)]
    judged("A link that leads to another site, in Chromium", tries, lost)
