"""Requests from other sites, as the recipes of demo/recipes/other_sites.py show them."""

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Frame, Page, Playwright, expect

from .chromium import launching
from .recipe_page import jar

pytestmark = pytest.mark.long

BLOCK_THIRD_PARTY_COOKIES = {
    "enableThirdPartyCookieRestriction": True,
    "disableThirdPartyCookieMetadata": True,
    "disableThirdPartyCookieHeuristics": True,
}


@pytest.fixture
def other_site(site: str) -> str:
    return site.replace("127.0.0.1", "localhost")


def carried_by(page: Page, other_site: str, method: str) -> list[str]:
    """Return the cookies that a form of the other site carries."""
    page.goto(f"{other_site}/other-sites/form/")
    page.click(f"text=Send a {method} form")
    page.wait_for_url("**/other-sites/received/*")
    assert page.inner_text("main p >> nth=0") == f"{method} /other-sites/received/"
    return page.locator("[data-carried] li").all_inner_texts()


def test_missing_samesite_has_grace_for_post(page: Page, other_site: str) -> None:
    page.goto("/other-sites/grace/")
    page.click("text=Open the page of the other site")
    assert page.url == f"{other_site}/other-sites/form/"
    assert carried_by(page, other_site, "POST") == ["samesite_missing"]
    assert carried_by(page, other_site, "GET") == ["samesite_missing", "samesite_lax"]


def test_strict_cookie_is_sent_from_page_after_post(page: Page, other_site: str) -> None:
    """A redirect after a POST from another site does not carry it; a link on the page does."""
    page.goto("/cookies/attributes/?samesite=Strict")
    page.goto(f"{other_site}/payment/page-landing/?order=1")
    with page.expect_request("http://127.0.0.1:*/payment/shop-landing/") as request:
        page.click("text=Pay and go back")
    assert "color" not in request.value.all_headers().get("cookie", "")
    assert carried_by(page, other_site, "POST") == ["none"]
    with page.expect_request("**/recipes/other-sites/grace/") as request:
        page.click("text=The recipe")
    assert "color" in request.value.all_headers().get("cookie", "")


@pytest.fixture
def impatient(playwright: Playwright, site: str) -> Iterator[Page]:
    """A browser with ten seconds of grace instead of two minutes."""
    options = launching()
    options["args"].append("--enable-features=ShortLaxAllowUnsafeThreshold")
    with playwright.chromium.launch(**options) as browser:
        yield browser.new_page(base_url=site)


def test_grace_ends_and_only_new_value_renews_it(impatient: Page, other_site: str) -> None:
    def set_to(value: str) -> None:
        impatient.goto(f"/cookies/set-cookie/?name=samesite_missing&value={value}")

    set_to("1")
    assert carried_by(impatient, other_site, "POST") == ["samesite_missing"]
    deadline = time.monotonic() + 60
    while carried_by(impatient, other_site, "POST") == ["samesite_missing"]:
        assert time.monotonic() < deadline
    set_to("1")
    assert carried_by(impatient, other_site, "POST") == ["none"]
    assert carried_by(impatient, other_site, "GET") == ["samesite_missing"]
    set_to("2")
    assert carried_by(impatient, other_site, "POST") == ["samesite_missing"]


@pytest.mark.parametrize(
    ("start", "target", "strict", "lax_by_post"),
    [
        ("http", "https", False, False),
        ("https", "http", False, False),
        ("https", "https", True, True),
    ],
)
def test_http_and_https_are_two_sites(
    start: str, target: str, strict: bool, lax_by_post: bool, page: Page, site: str, https_site: str
) -> None:
    sites = {"http": site, "https": https_site}
    start_url, target_url = (
        sites[scheme].replace("127.0.0.1", "plain.test") for scheme in (start, target)
    )
    page.goto(f"{target_url}/other-sites/scheme/")
    page.route(
        f"{start_url}/start",
        lambda route: route.fulfill(
            content_type="text/html",
            body=f"<form action={target_url}/other-sites/scheme/><button>GET</button>"
            "<button formmethod=post>POST</button></form>",
        ),
    )
    page.goto(f"{start_url}/start")
    page.click("text=GET")
    page.wait_for_url(f"{target_url}/other-sites/scheme/*")
    names = "scheme_strict, scheme_lax" if strict else "scheme_lax"
    assert (
        page.inner_text("pre").strip() == f"This request came over {target} and carried: {names}."
    )
    page.goto(f"{start_url}/start")
    with page.expect_request(f"{target_url}/other-sites/scheme/") as request:
        page.click("text=POST")
    cookies = request.value.all_headers().get("cookie", "")
    assert ("scheme_strict" in cookies) == strict
    assert ("scheme_lax" in cookies) == lax_by_post


def carried_in_frame(page: Page, recipe: str) -> tuple[Frame, dict[str, str]]:
    """Open a recipe's page, and return the frame of the other site and what it received."""
    page.goto(f"/other-sites/{recipe}/")
    frame = page.frames[1]
    return frame, values(frame)


def values(frame: Page | Frame) -> dict[str, str]:
    frame.wait_for_selector("[data-carried]")
    rows = frame.locator("[data-carried] div").all_inner_texts()
    return dict(row.split() for row in rows)


@pytest.mark.parametrize("are_blocked", [False, True])
def test_partitioned_cookie_belongs_to_site_at_the_top(
    are_blocked: bool, page: Page, site: str, other_site: str
) -> None:
    if are_blocked:
        block_third_party_cookies(page)
    _, first = carried_in_frame(page, "partitioned")
    assert first == {"everywhere": "none", "only_here": "none"}
    _, in_page = carried_in_frame(page, "partitioned")
    assert in_page["only_here"] != "none"
    assert in_page["everywhere"] == ("none" if are_blocked else in_page["only_here"])
    keys = {cookie.get("name"): cookie.get("partitionKey") for cookie in page.context.cookies()}
    assert keys.pop("only_here") == site.rpartition(":")[0]
    assert set(keys.values()) <= {None}
    # Neither the page around the frame nor the frame's own site has it.
    assert page.evaluate("document.cookie") == ""
    page.goto(f"{other_site}/other-sites/partitioned-frame/")
    by_itself = values(page)
    assert by_itself == {"everywhere": in_page["everywhere"], "only_here": "none"}
    page.reload()
    assert values(page)["only_here"] not in ("none", in_page["only_here"])
    _, again = carried_in_frame(page, "partitioned")
    assert again["only_here"] == in_page["only_here"]


def block_third_party_cookies(page: Page) -> None:
    """Choose the setting until the page is closed."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCookieControls", BLOCK_THIRD_PARTY_COOKIES)


def third_party(page: Page) -> tuple[Frame, str]:
    page.goto("/other-sites/third-party/")
    frame = page.frames[1]
    return frame, frame.inner_text("[data-carried]")


def test_frame_sends_only_samesite_none(page: Page, other_site: str) -> None:
    assert third_party(page)[1] == "none"
    assert jar(page.context).keys() == {"third_none"}
    page.goto(f"{other_site}/other-sites/third-party-frame/")
    assert jar(page.context).keys() == {"third_none", "third_lax"}
    frame, carried = third_party(page)
    assert carried == "third_none"
    expect(frame.locator("[data-has]")).to_have_text("true")


@pytest.mark.parametrize("is_granted", [True, False])
def test_blocked_third_party_cookies_and_storage_access(
    is_granted: bool, browser: Browser, site: str, other_site: str
) -> None:
    """A browser without windows asks nobody: it refuses what is not granted before."""
    with browser.new_context(base_url=site) as context:
        page = context.new_page()
        page.goto(f"{other_site}/other-sites/third-party-frame/")
        block_third_party_cookies(page)
        if is_granted:
            context.grant_permissions(["storage-access"])
        frame, carried = third_party(page)
        assert carried == "none"
        expect(frame.locator("[data-has]")).to_have_text("false")
        frame.click("[data-request]")
        if is_granted:
            expect(frame.locator("[data-has]")).to_have_text("true")
            expect(frame.locator("[data-carried]")).to_have_text("third_none")
            expect(frame.locator("[data-request]")).to_be_hidden()
        else:
            expect(frame.locator("[data-refused]")).to_contain_text("NotAllowedError")
            expect(frame.locator("[data-has]")).to_have_text("false")
        # Access is that of this frame: in a new page it is asked for again.
        assert third_party(page)[1] == "none"
