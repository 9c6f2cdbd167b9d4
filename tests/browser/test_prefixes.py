"""Who may replace a cookie, as the recipes of demo/recipes/prefixes.py show it."""

from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page

from cookieproj.engines.cookie_checks import PREFIXES

from .recipe_page import jar

pytestmark = pytest.mark.long

FITTING = {"secure": "on", "httponly": "on", "path": "/"}
UNFITTING = {
    "__Secure-": [{"secure": ""}],
    "__Http-": [{"secure": ""}, {"httponly": ""}],
    "__Host-": [{"secure": ""}, {"path": "/prefixes/"}, {"domain": "localhost"}],
    "__Host-Http-": [{"secure": ""}, {"httponly": ""}, {"path": ""}, {"domain": "localhost"}],
}


def is_kept(page: Page, site: str, prefix: str, changed: dict[str, str]) -> bool:
    fields = {"starts_with": prefix} | FITTING | changed
    query = urlencode({name: value for name, value in fields.items() if value or name == "path"})
    page.context.clear_cookies()
    page.goto(f"{site}/prefixes/prefix/?{query}")
    assert page.inner_text("pre").startswith(f"The response sets {prefix}color.")
    return f"{prefix}color" in jar(page.context)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_cookie_is_kept_only_if_attributes_fit_prefix(
    prefix: str, page: Page, site: str, https_site: str
) -> None:
    """Also over http, but only on the local machine."""
    hosts = ("127.0.0.1", "localhost", "shop.localhost")
    for address in (*(site.replace("127.0.0.1", host) for host in hosts), https_site):
        assert is_kept(page, address, prefix, {})
    assert not is_kept(page, site.replace("127.0.0.1", "plain.test"), prefix, {})
    for changed in UNFITTING[prefix]:
        for address in (site, https_site):
            assert not is_kept(page, address.replace("127.0.0.1", "localhost"), prefix, changed)


def guarded(page: Page, address: str) -> str:
    """Run the recipe over http after https, and return the cookie's value."""
    page.goto(address)
    assert "sets" in page.inner_text("pre")
    return str(jar(page.context)["guarded"]["value"])


def test_http_cannot_replace_secure_cookie(page: Page, site: str, https_site: str) -> None:
    local = [(host, "plain") for host in ("127.0.0.1", "localhost", "shop.localhost")]
    for host, kept in (("plain.test", "secure"), *local):
        secure, plain = (address.replace("127.0.0.1", host) for address in (https_site, site))
        assert guarded(page, f"{secure}/prefixes/secure-stays/?secure=on") == "secure"
        assert guarded(page, f"{plain}/prefixes/secure-stays/") == kept
        page.goto(f"{plain}/reading/delete/?name=guarded")
        assert ("guarded" in jar(page.context)) == (kept == "secure")
        page.context.clear_cookies()


def test_neither_can_a_subdomain_over_http(page: Page, site: str, https_site: str) -> None:
    page.goto(f"{https_site.replace('127.0.0.1', 'shop.test')}/prefixes/secure-stays/?secure=on")
    subdomain = site.replace("127.0.0.1", "blog.shop.test")
    fields = {"name": "guarded", "value": "tossed", "domain": "shop.test"}
    page.goto(f"{subdomain}/cookies/attributes/?{urlencode(fields)}")
    assert [cookie.get("value") for cookie in page.context.cookies()] == ["secure"]
    page.goto(f"{subdomain}/cookies/attributes/?{urlencode(fields | {'name': 'another'})}")
    assert jar(page.context)["another"]["domain"] == ".shop.test"


def test_subdomain_tosses_cookie_without_prefix(page: Page) -> None:
    page.goto("/prefixes/subdomain/")
    for link, carried, understood in (
        ("Open the shop", "none", "none"),
        ("Open the shop", "cart=from-the-shop; __Host-cart=from-the-shop", "from-the-shop"),
        ("Open its subdomain", "none", "none"),
        (
            "Open the shop",
            "cart=from-the-shop; __Host-cart=from-the-shop; cart=from-the-blog",
            "from-the-blog",
        ),
        ("Open its subdomain", "cart=from-the-blog", "from-the-blog"),
    ):
        page.click(f"text={link}")
        assert page.inner_text("[data-carried]") == carried
        assert page.inner_text("[data-understood]") == understood


def test_no_cookie_for_the_domain_localhost(page: Page, site: str) -> None:
    for domain, is_kept in (("localhost", False), ("shop.localhost", True)):
        page.goto(f"{site.replace('127.0.0.1', 'shop.localhost')}/cookies/attributes/?{domain=!s}")
        assert ("color" in jar(page.context)) == is_kept
