"""The limits of Chromium's cookie jar are those that the recipes state."""

import time

import pytest
from playwright.sync_api import Page, expect

from cookieproj.engines.cookie_settings import MAX_COOKIE_BYTES
from demo.cookie_limits import (
    BROWSER_LIMIT,
    ENGINE_LIMIT,
    MAX_ATTRIBUTE_BYTES,
    engine_limit_in_short,
    pair_bytes,
)

from .echo import address, echoing
from .recipe_page import jar, run

pytestmark = pytest.mark.long

DAY = 24 * 60 * 60


def text_of(page: Page, address: str) -> str:
    page.goto(address)
    return page.inner_text("pre").strip()


def numbered(page: Page) -> set[int]:
    """Return the numbers of the cookies n1, n2 … that the browser has."""
    return {int(name[1:]) for name in jar(page.context) if name[1:].isdecimal() and name[0] == "n"}


@pytest.mark.parametrize(
    ("address", "name", "days"),
    [
        ("/limits/max-age-over-400-days/?days=399", "long", 399),
        ("/limits/max-age-over-400-days/?days=401", "long", 400),
        ("/limits/expires-after-400-days/", "late", 400),
    ],
)
def test_cookie_is_kept_for_400_days_at_most(
    address: str, name: str, days: int, page: Page
) -> None:
    page.goto(address)
    assert abs(jar(page.context)[name]["expires"] - time.time() - days * DAY) < 60


@pytest.mark.parametrize("line", ["=value", "value"])
def test_nameless_cookie_is_kept_and_sent(line: str, page: Page) -> None:
    page.goto(f"/limits/nameless/?line={line}")
    assert jar(page.context)[""]["value"] == "value"
    received = text_of(page, "/limits/read-nameless/")
    assert received == "Cookie: value\nrequest.COOKIES: {'': 'value'}"


def test_page_sees_that_cookies_below_its_folder_are_deleted(page: Page) -> None:
    """Each is sent to /limits/ only, which no Set-Cookie line of this page has named before."""
    run(page, "limits/too-many", number="2")
    run(page, "limits/delete-them")
    assert page.locator("[data-verdicts] li span").all_inner_texts() == ["Deleted.", "Deleted."]


def test_cookies_over_180_leave_150(page: Page) -> None:
    """The page's csrftoken counts too. It is the oldest."""
    run(page, "limits/too-many", number="179")
    assert numbered(page) == set(range(1, 180))
    run(page, "limits/too-many", number="180")
    assert numbered(page) == set(range(31, 181))
    arrived = "150 of the numbered cookies arrived, from n31 to n180."
    assert text_of(page, "/limits/count-them/") == arrived
    page.goto("/limits/delete-them/")
    assert numbered(page) == set()


def test_cookies_without_secure_go_first(page: Page) -> None:
    """The local machine may set Secure without https. All of these are older than the others."""
    page.goto("/recipes/limits/count-them/")
    page.evaluate("for (let i = 1; i <= 100; i++) document.cookie = `s${i}=1; Secure; Path=/`")
    run(page, "limits/too-many", number="81")
    assert {f"s{position}" for position in range(1, 101)} < jar(page.context).keys()
    assert numbered(page) == set(range(31, 82))


def test_subdomains_share_the_limit(page: Page) -> None:
    with echoing() as port:
        for host, first, last in (("shop.", 1, 90), ("", 91, 180), ("", 181, 181)):
            cookies = [("Set-Cookie", f"n{number}=1") for number in range(first, last + 1)]
            page.goto(address(f"http://{host}example.test:{port}", *cookies))
    assert numbered(page) == set(range(32, 182))


def test_flood_deletes_the_session_cookie(page: Page) -> None:
    run(page, "sessions/set-item")
    assert "sessionid" in jar(page.context)
    run(page, "limits/too-many", number="181")
    assert "sessionid" not in jar(page.context)


def test_longer_path_is_sent_first_and_django_takes_the_last(page: Page) -> None:
    page.goto("/limits/two-paths/")
    assert text_of(page, "/limits/which-twin/") == (
        "Cookie: twin=of-limits; twin=of-the-site\nrequest.COOKIES: of-the-site"
    )
    page.goto("/limits/delete-twin/?path=/limits/")
    assert text_of(page, "/limits/which-twin/").startswith("Cookie: twin=of-the-site\n")
    page.goto("/limits/delete-twin/?path=/")
    assert jar(page.context) == {}


def test_cookie_of_the_host_and_of_the_domain_are_two(page: Page, site: str) -> None:
    page.goto("/limits/two-domains/")
    assert text_of(page, "/limits/which-twin/").startswith("Cookie: twin=of-the-host\n")
    plain = site.replace("127.0.0.1", "plain.test")
    page.goto(f"{plain}/limits/two-domains/?domain=plain.test")
    assert text_of(page, f"{plain}/limits/which-twin/") == (
        "Cookie: twin=of-the-host; twin=of-the-domain\nrequest.COOKIES: of-the-domain"
    )
    page.goto(f"{plain}/limits/delete-twin/?path=/&domain=plain.test")
    assert text_of(page, f"{plain}/limits/which-twin/").startswith("Cookie: twin=of-the-host\n")
    page.goto(f"{plain}/limits/delete-twin/?path=/")
    assert text_of(page, f"{plain}/limits/which-twin/").startswith("No twin arrived")


@pytest.mark.parametrize(
    ("pair", "attribute", "is_kept"),
    [
        ("a=" + "x" * (MAX_COOKIE_BYTES - 1), "Path=/", True),
        ("a=" + "x" * MAX_COOKIE_BYTES, "Path=/", False),
        # Attributes do not count, though the line is longer.
        ("a=" + "x" * (MAX_COOKIE_BYTES - 1), f"Comment={'x' * MAX_ATTRIBUTE_BYTES}", True),
    ],
)
def test_bytes_of_a_cookie_are_those_of_its_name_and_value(
    pair: str, attribute: str, is_kept: bool, page: Page
) -> None:
    name, _equals, value = pair.partition("=")
    assert (pair_bytes(name, value) <= MAX_COOKIE_BYTES) == is_kept
    with echoing() as port:
        origin = f"http://127.0.0.1:{port}"
        page.goto(address(origin, ("Set-Cookie", f"{pair}; {attribute}")))
        assert bool(jar(page.context)) == is_kept


@pytest.mark.parametrize(("length", "counts"), [(0, True), (1, False)])
def test_attribute_that_is_too_long_is_ignored(length: int, counts: bool, page: Page) -> None:
    path = "/" + "x" * (MAX_ATTRIBUTE_BYTES - 1 + length)
    with echoing() as port:
        origin = f"http://127.0.0.1:{port}"
        page.goto(address(origin, ("Set-Cookie", f"a=1; Path={path}")))
        assert (jar(page.context)["a"]["path"] == path) == counts


def test_pages_say_the_same_of_the_limit(page: Page) -> None:
    for path, button in (
        ("/recipes/cookies/too-large/", ""),
        ("/break/", "#send-5000-bytes button"),
    ):
        page.goto(path)
        if button:
            page.click(button)
        expect(page.locator("main")).to_contain_text(str(BROWSER_LIMIT))
        expect(page.locator("main")).to_contain_text(str(ENGINE_LIMIT))
    page.goto("/engines/")
    expect(page.locator("main")).to_contain_text(engine_limit_in_short())
