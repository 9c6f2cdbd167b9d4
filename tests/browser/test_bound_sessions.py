"""Sessions bound to their device, in a real Chromium over https, and a thief with its cookies."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from mirakuru import TCPExecutor
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect

from cookieproj.devices.bound.decorators import MAX_ATTEMPTS
from cookieproj.profiles import PROFILES
from tests.conftest import copied
from tests.servers import StoppableRedis, free_port, served
from tests.sites import ROOT, python

from .bound import launching_with_keys

# Seconds for which a bound cookie lives; the server takes it for as long again.
AGE = 3

BOUND_COOKIE = "__Host-bound_session"


@pytest.fixture(scope="module")
def browser(browser_with_keys: Browser) -> Browser:
    return browser_with_keys


Variables = Callable[..., dict[str, str]]


@pytest.fixture(scope="module")
def variables(
    tmp_path_factory: pytest.TempPathFactory,
    demo_database: Path,
    redis_url: str,
    mongodb_url: str,
) -> Variables:
    """The environment of a site on a profile, with demo accounts."""

    def variables(profile: str, **changes: str) -> dict[str, str]:
        folder = tmp_path_factory.mktemp("site")
        return {
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "SESSION_PROFILE": profile,
            "SESSION_FILE_PATH": str(folder / "sessions"),
            "DATABASE_URL": copied(demo_database, folder),
            "CACHE_URL": f"{redis_url}/8",
            "MONGODB_URL": mongodb_url,
            "DEVICES_BOUND": "offer",
            "DEVICES_BOUND_AGE": str(AGE),
            **changes,
        }

    return variables


def server(certificate: Path, environment: dict[str, str]) -> Callable[[int], list[str]]:
    """Return a function of a port: the command that serves ``bound_site`` over https."""
    program = ["-m", "gunicorn", "tests.browser.bound_site", "--chdir", str(ROOT), "--threads", "8"]
    files = ["--certfile", str(certificate), "--keyfile", str(certificate)]
    command = python(*program, *files, "--log-level", "error", **environment)
    return lambda port: [*command, "--bind", f"127.0.0.1:{port}"]


@contextmanager
def serving(certificate: Path, environment: dict[str, str]) -> Iterator[str]:
    """Serve ``bound_site``. Yields its URL."""
    with served(server(certificate, environment)) as port:
        yield f"https://localhost:{port}"


@pytest.fixture(scope="module", params=PROFILES)
def site(request: pytest.FixtureRequest, certificate: Path, variables: Variables) -> Iterator[str]:
    with serving(certificate, variables(request.param)) as url:
        yield url


@pytest.fixture
def browser_context_args(site: str) -> dict[str, Any]:
    return {"base_url": site}


@pytest.fixture
def context(browser: Browser, browser_context_args: dict[str, Any]) -> Iterator[BrowserContext]:
    with browser.new_context(**browser_context_args) as context:
        yield context


def sign_in(page: Page) -> Page:
    page.goto("/auth/sign-in/")
    page.fill("[name=username]", "ada")
    page.fill("[name=password]", "cookies")
    page.keyboard.press("Enter")
    page.wait_for_url("**/auth/account/")
    return page


def bound(page: Page) -> Page:
    """Sign in and wait until the browser has a bound cookie, and has sent it."""
    sign_in(page)
    wait_until(page, lambda: BOUND_COOKIE in cookies(page.context))
    assert get(page, "/who/") == "ada"
    return page


def wait_until(page: Page, is_so: Callable[[], bool]) -> None:
    """Raise TimeoutError if it never is so."""
    for _attempt in range(600):
        if is_so():
            return
        page.wait_for_timeout(50)
    raise TimeoutError


def cookies(context: BrowserContext) -> dict[str, str]:
    return {cookie["name"]: cookie["value"] for cookie in context.cookies()}


def get(page: Page, path: str) -> str:
    """What a script of the page gets."""
    return str(page.evaluate("async path => (await fetch(path)).text()", path))


class Thief:
    """Another client with a copy of the browser's cookies."""

    def __init__(self, site: str, certificate: Path, stolen: dict[str, str]) -> None:
        self.site, self.certificate = site, str(certificate)
        # Sent as they were stolen, whatever the site has deleted since.
        self.cookie = "; ".join(f"{name}={value}" for name, value in stolen.items())

    def open(self, path: str) -> requests.Response:
        session = requests.Session()
        session.trust_env = False
        return session.get(
            f"{self.site}{path}",
            headers={"Cookie": self.cookie},
            verify=self.certificate,
            timeout=30,
            allow_redirects=False,
        )

    @property
    def name(self) -> str:
        """Whom the site takes it for."""
        return self.open("/who/").text


def test_every_sign_in_is_bound_with_requests_beside_it(browser: Browser, site: str) -> None:
    """An engine that loses one of two concurrent writes would lose the key."""
    names = [f"beside{number}" for number in range(5)]
    for _sign_in in range(10):
        with browser.new_context(base_url=site) as context:
            page = sign_in(context.new_page())
            page.evaluate(
                "names => Promise.all(names.map(name => fetch(`/remember/${name}/`)))", names
            )
            wait_until(page, lambda: BOUND_COOKIE in cookies(context))
            assert get(page, "/who/") == "ada"
            # Bound for good: without its cookie the session opens nothing.
            assert "_session_binding" in get(page, "/remembered/")


def test_requests_wait_for_a_renewal(page: Page) -> None:
    bound(page)
    before = cookies(page.context)[BOUND_COOKIE]
    wait_until(page, lambda: BOUND_COOKIE not in cookies(page.context))
    texts = page.evaluate(
        "() => Promise.all(Array.from({length: 12}, async () => (await fetch('/who/')).text()))"
    )
    assert texts == ["ada"] * 12
    assert cookies(page.context)[BOUND_COOKIE] != before


def test_stolen_cookies_are_worth_seconds(page: Page, site: str, certificate: Path) -> None:
    bound(page)
    stolen = cookies(page.context)
    thief = Thief(site, certificate, stolen)
    without = Thief(site, certificate, {"sessionid": stolen["sessionid"]})
    wait_until(page, lambda: without.name == "nobody")
    wait_until(page, lambda: thief.name == "nobody")
    assert get(page, "/who/") == "ada"


def test_stolen_cookies_are_refused_at_once_by_proof_now(
    page: Page, site: str, certificate: Path
) -> None:
    bound(page)
    stolen = cookies(page.context)
    assert Thief(site, certificate, stolen).name == "ada"
    assert Thief(site, certificate, stolen).open("/pay/").status_code == 307
    demanded: dict[str, str] = {}
    for _attempt in range(MAX_ATTEMPTS):
        response = Thief(site, certificate, stolen | demanded).open("/pay/")
        assert response.status_code == 307
        demanded = response.cookies.get_dict()
    assert Thief(site, certificate, stolen | demanded).open("/pay/").status_code == 403
    assert get(page, "/pay/") == "paid "
    assert get(page, "/pay/") == "paid "


def test_request_that_wants_a_proof_while_another_waits_is_admitted(page: Page) -> None:
    bound(page)
    other_tab = page.context.new_page()
    other_tab.goto("/who/")
    # It goes on while the other tab waits for its answer.
    other_tab.evaluate("() => { window.answer = fetch('/close/').then(answer => answer.text()) }")
    assert get(page, "/pay/") == "paid "
    assert other_tab.evaluate("() => window.answer") == "closed"


@pytest.mark.parametrize("other", ["/pay/", "/close/"])
def test_two_requests_that_want_proofs_at_once_are_admitted(page: Page, other: str) -> None:
    """No more than two: each may need a renewal of its own, and Chromium allows five in all."""
    bound(page)
    texts = page.evaluate(
        "paths => Promise.all(paths.map(async path => (await fetch(path)).text()))",
        ["/pay/", other],
    )
    assert texts == ["paid ", {"/pay/": "paid ", "/close/": "closed"}[other]]


def test_session_signed_out_from_another_device_is_not_renewed(
    page: Page, browser: Browser, site: str
) -> None:
    bound(page)
    with browser.new_context(base_url=site) as other:
        elsewhere = sign_in(other.new_page())
        elsewhere.goto("/devices/")
        elsewhere.click("text=Sign out all other devices")
        elsewhere.wait_for_selector("[role=status]")
    wait_until(page, lambda: BOUND_COOKIE not in cookies(page.context))
    assert get(page, "/who/") == "nobody"
    assert BOUND_COOKIE not in cookies(page.context)


def test_cleared_cookies_bring_no_ended_session_back(page: Page) -> None:
    """The browser renews the bound cookie after ``Clear-Site-Data: "cookies"``."""
    bound(page)
    page.goto("/auth/account/")
    page.click("form[action$='sign-out/'] button")
    page.context.clear_cookies()
    page.goto("/auth/sign-in/")
    assert get(page, "/who/") == "nobody"
    assert BOUND_COOKIE not in cookies(page.context)


@pytest.fixture
def options(certificate: Path) -> dict[str, Any]:
    return launching_with_keys(certificate)


def test_browser_that_was_closed_renews_when_it_is_opened_again(
    playwright: Playwright,
    options: dict[str, Any],
    certificate: Path,
    variables: Variables,
    tmp_path: Path,
) -> None:
    launch = partial(playwright.chromium.launch_persistent_context, tmp_path, **options)
    with serving(certificate, variables("db")) as url:
        with launch(base_url=url) as profile:
            bound(profile.new_page())
        with launch(base_url=url) as profile:
            page = profile.new_page()
            wait_until(page, lambda: BOUND_COOKIE not in cookies(profile))
            page.goto("/who/")
            assert page.locator("body").inner_text() == "ada"
            assert BOUND_COOKIE in cookies(profile)


@pytest.mark.parametrize("fail", [StoppableRedis.kill, StoppableRedis.freeze])
def test_unreachable_store_at_a_renewal_signs_nobody_out(
    browser: Browser,
    certificate: Path,
    variables: Variables,
    tmp_path: Path,
    fail: Callable[[StoppableRedis], None],
) -> None:
    redis = StoppableRedis(tmp_path)
    redis.start()
    try:
        environment = variables("cache", CACHE_URL=f"{redis.url}/0")
        with serving(certificate, environment) as url, browser.new_context(base_url=url) as context:
            page = bound(context.new_page())
            wait_until(page, lambda: BOUND_COOKIE not in cookies(context))
            fail(redis)
            answer = page.goto("/who/")
            assert answer
            assert answer.status == 503
            assert "sessionid" in cookies(context)
            redis.kill()
            redis.start()
            wait_until(page, lambda: get(page, "/who/") == "ada")
            assert BOUND_COOKIE in cookies(context)
    finally:
        redis.kill()


@pytest.mark.parametrize(
    ("old", "new"), [("db", "cache"), ("signed_cookies", "db"), ("file", "encrypted_cookies")]
)
def test_session_stays_bound_when_the_engine_is_switched(
    browser: Browser, certificate: Path, variables: Variables, old: str, new: str
) -> None:
    before = variables(old)
    after = before | {"SESSION_PROFILE": new, "SESSION_HANDOVER_FROM": old}
    port = free_port()
    url = f"https://localhost:{port}"
    with browser.new_context(base_url=url) as context:
        with TCPExecutor(server(certificate, before)(port), "127.0.0.1", port, timeout=60):
            page = bound(context.new_page())
        with TCPExecutor(server(certificate, after)(port), "127.0.0.1", port, timeout=60):
            stolen = {"sessionid": cookies(context)["sessionid"]}
            wait_until(page, lambda: BOUND_COOKIE not in cookies(context))
            assert get(page, "/who/") == "ada"
            assert BOUND_COOKIE in cookies(context)
            thief = Thief(url, certificate, stolen)
            wait_until(page, lambda: thief.name == "nobody")
            assert get(page, "/who/") == "ada"


@pytest.mark.parametrize("opens", [Page.goto, get], ids=["page", "script"])
@pytest.mark.parametrize("profile", ["db", "cache", "signed_cookies"])
def test_session_from_before_bindings_were_required_is_bound(
    browser: Browser,
    certificate: Path,
    variables: Variables,
    profile: str,
    opens: Callable[[Page, str], object],
) -> None:
    after = variables(profile, DEVICES_BOUND="require")
    before = {name: value for name, value in after.items() if name != "DEVICES_BOUND"}
    port = free_port()
    url = f"https://localhost:{port}"
    with browser.new_context(base_url=url) as context:
        with TCPExecutor(server(certificate, before)(port), "127.0.0.1", port, timeout=60):
            page = sign_in(context.new_page())
        with TCPExecutor(server(certificate, after)(port), "127.0.0.1", port, timeout=60):
            assert BOUND_COOKIE not in cookies(context)
            opens(page, "/who/")
            wait_until(page, lambda: BOUND_COOKIE in cookies(context))
            assert get(page, "/who/") == "ada"


def test_link_of_another_site_opens_the_session_after_a_renewal(page: Page, site: str) -> None:
    """For a request that another site has caused the browser renews nothing."""
    bound(page)
    page.goto(site.replace("localhost", "127.0.0.1") + "/auth/sign-in/")
    wait_until(page, lambda: BOUND_COOKIE not in names_at(page.context, site))
    for path, text in (("/who/", "ada"), ("/pay/", "paid ")):
        follow_link(page, f"{site}{path}")
        expect(page.locator("body")).to_have_text(text)
        page.goto(site.replace("localhost", "127.0.0.1") + "/auth/sign-in/")


def follow_link(page: Page, url: str) -> None:
    page.evaluate(
        """url => {
            const link = document.createElement("a");
            [link.href, link.textContent] = [url, "there"];
            document.body.replaceChildren(link);
        }""",
        url,
    )
    page.click("text=there")


def names_at(context: BrowserContext, url: str) -> set[str]:
    return {cookie["name"] for cookie in context.cookies(url)}


def test_browser_that_may_renew_no_more_keeps_the_site(
    playwright: Playwright, options: dict[str, Any], certificate: Path, variables: Variables
) -> None:
    """With Chromium's usual quota of renewals."""
    usual = [text.replace(":RefreshQuota/false", "") for text in options["args"]]
    assert usual != options["args"]
    with (
        serving(certificate, variables("db", DEVICES_BOUND_AGE="300")) as url,
        playwright.chromium.launch(**options | {"args": usual}) as browser,
        browser.new_context(base_url=url) as context,
    ):
        page = bound(context.new_page())
        answers = [get(page, "/pay/") for _payment in range(8)]
        assert answers[0] == "paid "
        assert "Please try again" in answers[-1]
        assert BOUND_COOKIE in cookies(context)
        assert get(page, "/who/") == "ada"
