"""A real browser follows the rules for cookies."""

import json
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, Playwright, expect

from .chromium import launching
from .recipe_page import jar, run

pytestmark = pytest.mark.long


def received_cookies(page: Page, path: str = "/reading/all-cookies/") -> set[str]:
    """Return the names of the cookies that the site receives at that URL."""
    page.goto(path)
    return set(json.loads(page.inner_text("pre"))["names"])


def test_expired_cookie_is_deleted(page: Page) -> None:
    run(page, "cookies/max-age", max_age="2")
    expect(page.locator("[data-jar=sent]")).to_contain_text("color=blue")
    expect(page.locator("[data-jar=sent]")).not_to_contain_text("color", timeout=10_000)
    assert "color" not in jar(page.context)


def test_httponly_cookie_is_hidden_from_scripts(page: Page) -> None:
    run(page, "cookies/attributes", httponly=True)
    assert page.evaluate("document.cookie") == ""
    assert received_cookies(page) == {"color"}


def test_cookie_is_sent_only_below_its_path(page: Page) -> None:
    run(page, "cookies/attributes", path="/reading/")
    assert received_cookies(page) == {"color"}
    page.goto("/recipes/cookies/attributes/")
    assert page.evaluate("document.cookie") == ""


def test_secure_cookie_is_refused_over_http(page: Page, site: str) -> None:
    """Except from the local machine, which browsers trust without https."""
    run(page, "cookies/attributes", secure=True)
    assert jar(page.context)["color"]["secure"]
    page.context.clear_cookies()
    plain = site.replace("127.0.0.1", "plain.test")
    page.goto(f"{plain}/cookies/attributes/?secure=on")
    page.goto(f"{plain}/cookies/set-cookie/?name=other")
    assert received_cookies(page, f"{plain}/reading/all-cookies/") == {"other"}


LINK = "<a href={}/reading/all-cookies/>go</a>"
GET_FORM = "<form action={}/reading/all-cookies/><button>go</button></form>"
POST_FORM = "<form method=post action={}/reading/all-cookies/><button>go</button></form>"
# The query makes it an image that the browser has not cached.
IMAGE = "<button onclick=\"new Image().src = '{}/static/demo/cookie.svg?'\">go</button>"


@pytest.mark.parametrize(
    ("samesite", "sends"),
    [
        ("Lax", {LINK, GET_FORM}),
        ("Strict", set()),
        ("None", {LINK, GET_FORM, POST_FORM, IMAGE}),
        # Not given: Lax, and for two minutes also with a POST form.
        ("", {LINK, GET_FORM, POST_FORM}),
    ],
)
# The other site has no content security policy.
@pytest.mark.browser_context_args(bypass_csp=True)
def test_samesite_limits_requests_from_other_sites(
    samesite: str, sends: set[str], page: Page, site: str
) -> None:
    """The requests come from a page of another site."""
    run(page, "cookies/attributes", samesite=samesite, secure=samesite == "None")
    sent = set()
    for content in (LINK, GET_FORM, POST_FORM, IMAGE):
        open_other_site(page, site, content.format(site))
        with page.expect_request(f"{site}/**") as request:
            page.click("text=go")
        if "color" in request.value.all_headers().get("cookie", ""):
            sent.add(content)
    assert sent == sends


def open_other_site(page: Page, site: str, content: str = "") -> None:
    page.goto(f"{site.replace('127.0.0.1', 'other.test')}/reading/all-cookies/")
    page.evaluate("content => { document.body.innerHTML = content }", content)


def test_strict_cookie_is_sent_if_address_is_typed(page: Page, site: str) -> None:
    """As by a bookmark: no page causes the request, whatever page the browser shows."""
    run(page, "cookies/attributes", samesite="Strict")
    open_other_site(page, site)
    assert received_cookies(page, f"{site}/reading/all-cookies/") == {"color"}


@pytest.mark.parametrize("path", ["noslash", "elsewhere/"])
def test_path_without_slash_is_default_path(path: str, page: Page) -> None:
    """RFC 6265, section 5.2.4. The default path is the folder of the address."""
    run(page, "cookies/attributes", path=path)
    assert jar(page.context)["color"]["path"] == "/cookies/attributes"
    expect(page.locator("dl div", has_text=f"Path={path}")).to_contain_text("no path")
    assert received_cookies(page) == set()


@pytest.mark.parametrize("recipe", ["max-age", "max-age-and-expires", "attributes"])
def test_negative_age_deletes_cookie(recipe: str, page: Page) -> None:
    run(page, "cookies/set-cookie")
    text = run(page, f"cookies/{recipe}", max_age="-5")
    assert "deletes color" in text or recipe == "attributes"
    assert jar(page.context) == {}


def test_view_encodes_value(page: Page) -> None:
    run(page, "cookies/set-cookie", value="红")
    assert jar(page.context)["color"]["value"] == "%E7%BA%A2"


@pytest.mark.parametrize("restores", [False, True])
def test_cookie_without_age_stays_if_tabs_are_restored(
    restores: bool, playwright: Playwright, site: str, tmp_path: Path
) -> None:
    """The browser is closed, and opened again with the same profile folder."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if not program:
        pytest.skip("no Chromium with windows here: the system's package chromium")
    options = launching() | {"executable_path": program}
    # The last browser of a profile saves its tabs, and the next one is asked to restore them.
    options["args"] = [*options["args"], *(["--restore-last-session"] if restores else [])]
    with playwright.chromium.launch_persistent_context(
        tmp_path, base_url=site, **options
    ) as context:
        run(context.pages[0], "cookies/set-cookie")
    with playwright.chromium.launch_persistent_context(
        tmp_path, base_url=site, **options
    ) as context:
        assert ("color" in jar(context)) == restores
