"""Redirects to another site, as a real browser reads their URLs."""

from playwright.sync_api import Page

from tests.browser.conftest import (  # noqa: F401 - fixtures
    browser,
    browser_context_args,
    context,
    playwright,
    site,
)

from .conftest import Report, Sample
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


def test_leads_away_agrees_with_chromium(page: Page) -> None:
    texts = list(spellings())
    origins = page.evaluate(ORIGINS, texts)
    foreign = {
        text
        for text, origin in zip(texts, origins, strict=True)
        if origin not in {None, "http://testserver"}
    }
    assert len(foreign) > 100
    assert [text for text in foreign if not leads_away(text)] == []


def test_sign_in_stays_on_this_site(
    page: Page,
    site: str,  # noqa: F811
    sample: Sample,
    report: Report,
) -> None:
    """A script changes ``next`` in the form of the sign-in."""
    tries, succeeded = sample(WORST, 5), []
    for text in tries:
        page.context.clear_cookies()
        page.goto("/auth/sign-in/")
        with page.expect_navigation():
            page.evaluate(SUBMIT, text)
        is_on_site = page.url.startswith(f"{site}/") and "welcome ada" in page.content()
        succeeded += [] if is_on_site else [(text, page.url)]
    report("A redirect to another site, in Chromium", tries, succeeded)
