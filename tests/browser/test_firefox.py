"""Where the rules of Firefox differ from Chromium's, and where the recipes say they do not."""

import time
from collections.abc import Iterator

import pytest

from tests import certificates

from .echo import address, echoing
from .firefox import Firefox, launched

pytestmark = pytest.mark.long

DAY = 24 * 60 * 60
CLEAR = ("Clear-Site-Data", '"cookies"')


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    with launched(tmp_path_factory.mktemp("profile")) as firefox:
        yield firefox


@pytest.fixture
def firefox(started: Firefox) -> Iterator[Firefox]:
    yield started
    started.clear_cookies()


@pytest.fixture(scope="module")
def http_port() -> Iterator[int]:
    with echoing() as port:
        yield port


@pytest.fixture(scope="module")
def https_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with echoing(certificates.make(tmp_path_factory.mktemp("certificate"))) as port:
        yield port


def sign_in(firefox: Firefox, site: str) -> None:
    firefox.goto(f"{site}/auth/sign-in/")
    firefox.evaluate(
        """
        const form = document.querySelector("main form");
        form.elements.username.value = "ada";
        form.elements.password.value = "cookies";
        form.submit();
        """
    )
    firefox.wait_for("location.pathname === '/auth/account/'")


def heading_is(text: str) -> str:
    return f"document.querySelector('h1')?.innerText === '{text}'"


@pytest.mark.parametrize(
    ("path", "name", "days"),
    [
        ("max-age-over-400-days/?days=399", "long", 399),
        ("max-age-over-400-days/?days=401", "long", 400),
        ("expires-after-400-days/", "late", 400),
    ],
)
def test_cookie_is_kept_for_400_days_at_most(
    path: str, name: str, days: int, firefox: Firefox, site: str
) -> None:
    firefox.goto(f"{site}/limits/{path}")
    assert abs(firefox.jar()[name]["expiry"] - time.time() - days * DAY) < 60


@pytest.mark.parametrize(
    ("line", "received"),
    [
        ("=value", "No cookie without a name arrived: set one with the recipe before."),
        ("value", "Cookie: value=\nrequest.COOKIES: {'value': ''}"),
    ],
)
def test_nameless_cookie_is_dropped_or_gets_a_name(
    line: str, received: str, firefox: Firefox, site: str
) -> None:
    firefox.goto(f"{site}/limits/nameless/?line={line}")
    firefox.goto(f"{site}/limits/read-nameless/")
    assert firefox.evaluate("document.body.textContent").strip() == received


def test_cookies_over_180_leave_150(firefox: Firefox, site: str) -> None:
    """The first to go is the page's csrftoken, which is older than all but those with Secure."""
    secure = {f"s{position}" for position in range(1, 31)}
    firefox.goto(f"{site}/limits/count-them/")
    firefox.evaluate("for (let i = 1; i <= 30; i++) document.cookie = `s${i}=1; Secure; Path=/`")
    for number, first in ((149, 1), (150, 31)):
        firefox.goto(f"{site}/recipes/limits/too-many/")
        firefox.evaluate(
            f"""
            document.querySelector("[name=number]").value = {number};
            document.querySelector("form[data-recipe]").requestSubmit();
            """
        )
        firefox.wait_for("document.querySelector('[data-status]').matches('.good, .warning')")
        numbered = {f"n{position}" for position in range(first, number + 1)}
        assert firefox.jar().keys() - {"csrftoken"} == secure | numbered


def test_longer_path_is_sent_first(firefox: Firefox, site: str) -> None:
    firefox.goto(f"{site}/limits/two-paths/")
    firefox.goto(f"{site}/limits/which-twin/")
    assert firefox.text().startswith("Cookie: twin=of-limits; twin=of-the-site\n")


def test_changed_cookie_keeps_its_place(firefox: Firefox, http_port: int) -> None:
    """As RFC 6265, section 5.3, step 11.3 has it. Chromium sends a changed cookie last."""
    site = f"http://127.0.0.1:{http_port}"
    for cookie in ("a=1", "b=1", "a=2"):
        firefox.goto(address(site, ("Set-Cookie", cookie)))
    firefox.goto(site)
    assert firefox.text() == "a=2; b=1"


@pytest.mark.parametrize(
    ("cookie", "by_form", "by_post"),
    [
        ("a=1", True, True),
        ("a=1; SameSite=Lax", True, False),
        ("a=1; SameSite=Strict", False, False),
        ("a=1; SameSite=None; Secure", True, True),
        ("a=1; SameSite=None", False, False),
    ],
)
def test_cookie_without_samesite_is_sent_with_post_of_another_site(
    cookie: str, by_form: bool, by_post: bool, firefox: Firefox, https_port: int
) -> None:
    site, other = f"https://shop.example.test:{https_port}", f"https://other.test:{https_port}"
    firefox.goto(address(site, ("Set-Cookie", cookie)))
    for method, is_sent in (("get", by_form), ("post", by_post)):
        firefox.goto(other)
        form = f"<form method={method} action={site}></form>"
        firefox.evaluate(f"document.body.innerHTML = '{form}'; document.forms[0].submit()")
        firefox.wait_for(f"location.origin === '{site}' && document.readyState === 'complete'")
        assert firefox.text() == ("a=1" if is_sent else "")


@pytest.mark.parametrize(
    ("host", "is_kept"), [("127.0.0.1", True), ("localhost", True), ("plain.test", False)]
)
def test_local_machine_is_trusted_over_http(
    host: str, is_kept: bool, firefox: Firefox, http_port: int
) -> None:
    site = f"http://{host}:{http_port}"
    for cookie in (
        "a=1; Secure",
        "__Secure-a=1; Secure",
        "__Host-a=1; Secure; Path=/",
        "__Http-a=1; Secure; HttpOnly",
        "__Host-Http-a=1; Secure; HttpOnly; Path=/",
    ):
        firefox.goto(address(site, ("Set-Cookie", cookie)))
        assert (cookie.partition("=")[0] in firefox.jar()) == is_kept
    firefox.goto(site)
    assert (firefox.evaluate("typeof cookieStore") == "object") == is_kept


@pytest.mark.parametrize(
    "cookie",
    [
        "__Secure-a=1",
        "__Host-a=1; Secure",
        "__Host-a=1; Secure; Path=/; Domain=shop.example.test",
        "__Http-a=1; Secure",
        "__Host-Http-a=1; Secure; Path=/",
        "__host-a=1",
    ],
)
def test_prefix_without_its_attributes_is_dropped(
    cookie: str, firefox: Firefox, https_port: int
) -> None:
    site = f"https://shop.example.test:{https_port}/deep"
    firefox.goto(address(site, ("Set-Cookie", cookie)))
    assert firefox.jar() == {}


def test_cookie_store_knows_names_and_values_alone(firefox: Firefox, site: str) -> None:
    firefox.goto(f"{site}/in-scripts/seen-and-unseen/")
    firefox.goto(f"{site}/in-scripts/cookie-store/")
    firefox.wait_for("document.querySelector('[data-all]').innerText === 'seen=1'")
    all_cookies = "cookieStore.getAll().then(JSON.stringify)"
    assert firefox.evaluate(all_cookies) == '[{"name":"seen","value":"1"}]'
    firefox.evaluate("document.querySelector('[data-delete]').form.requestSubmit()")
    events = "document.querySelector('[data-events]').innerText"
    firefox.wait_for(f"{events} === 'changed: color=blue'")
    assert (firefox.jar()["color"]["secure"], firefox.jar()["color"]["sameSite"]) == (
        True,
        "strict",
    )


@pytest.mark.parametrize(
    ("path", "heading"),
    [("/leaving/page/", "For ada only"), ("/leaving/no-store-page/", "Sign in")],
)
def test_back_after_signing_out(path: str, heading: str, firefox: Firefox, site: str) -> None:
    sign_in(firefox, site)
    firefox.goto(f"{site}{path}")
    firefox.evaluate("document.querySelector('main form').submit()")
    firefox.wait_for("location.pathname === '/auth/sign-in/'")
    firefox.go_back()
    firefox.wait_for(heading_is(heading))


def test_clear_site_data_deletes_the_cookies_of_the_host(firefox: Firefox, https_port: int) -> None:
    """Those of the domain above it stay, and in Chromium they do not."""
    shop = f"https://shop.example.test:{https_port}"
    parent = f"https://example.test:{https_port}"
    firefox.goto(address(parent, ("Set-Cookie", "parent=1")))
    firefox.goto(address(shop, ("Set-Cookie", "shop=1; HttpOnly; Path=/deep")))
    firefox.goto(address(shop, ("Set-Cookie", "before=1"), CLEAR, ("Set-Cookie", "after=1")))
    assert firefox.jar().keys() == {"parent"}


def test_clear_site_data_is_ignored_over_http(firefox: Firefox, http_port: int) -> None:
    """Except on this machine."""
    for host, is_kept in (("plain.test", True), ("127.0.0.1", False)):
        site = f"http://{host}:{http_port}"
        firefox.goto(address(site, ("Set-Cookie", "color=blue")))
        firefox.goto(address(site, CLEAR))
        firefox.goto(site)
        assert firefox.text() == ("color=blue" if is_kept else "")
