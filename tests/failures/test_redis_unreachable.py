"""Redis goes away under a signed-in browser, and comes back."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import copied
from tests.servers import StoppableRedis
from tests.sites import QUICK, Browser, running

# Seconds: two time-outs of 2 s, connecting and waiting, on a machine that is as slow as may be.
# Without them nothing would come back before Redis does.
BOUND = 60


@pytest.fixture
def browser(
    request: pytest.FixtureRequest, redis: StoppableRedis, tmp_path: Path, demo_database: Path
) -> Iterator[Browser]:
    """Signed in as ada, on the profile that the test is about."""
    variables = {
        "SESSION_PROFILE": request.param,
        "DATABASE_URL": copied(demo_database, tmp_path),
        "CACHE_URL": f"{redis.url}/0",
    }
    with running(QUICK, **variables) as site:
        browser = Browser(site)
        browser.submit("/auth/sign-in/", "/auth/sign-in/", username="ada", password="cookies")
        yield browser


def go(redis: StoppableRedis, how: str) -> None:
    redis.freeze() if how == "silent" else redis.stop()
    assert not redis.answers()


def come_back(redis: StoppableRedis, how: str) -> None:
    redis.thaw() if how == "silent" else redis.start()
    assert redis.answers()


@pytest.mark.parametrize("how", ["gone", "silent"])
@pytest.mark.parametrize("browser", ["cache"], indirect=True)
def test_on_cache_it_is_a_503_and_nobody_is_signed_out(
    browser: Browser, redis: StoppableRedis, how: str
) -> None:
    cookies = browser.cookies.get_dict()
    go(redis, how)
    began = time.monotonic()
    response = browser.open("/auth/account/")
    took = time.monotonic() - began
    assert response.status_code == 503
    assert "reload the page" in response.text
    assert str(redis.port) not in response.text
    assert "Set-Cookie" not in response.headers
    assert took < BOUND
    assert browser.open("/").status_code == 200
    come_back(redis, how)
    assert browser.cookies.get_dict() == cookies
    assert "welcome ada" in browser.open("/auth/account/").text


@pytest.mark.parametrize("how", ["gone", "silent"])
@pytest.mark.parametrize("browser", ["cached_db"], indirect=True)
def test_on_cached_db_everything_goes_on(browser: Browser, redis: StoppableRedis, how: str) -> None:
    go(redis, how)
    began = time.monotonic()
    assert "welcome ada" in browser.open("/auth/account/").text
    assert time.monotonic() - began < BOUND
    browser.submit("/recipes/sessions/set-item/", "/sessions/set-item/", value="blue")
    assert browser.open("/sessions/get-item/").text == "color is blue\n"
    come_back(redis, how)
    assert browser.open("/sessions/get-item/").text == "color is blue\n"
    browser.submit("/auth/account/", "/auth/sign-out/")
    assert "welcome" not in browser.open("/auth/account/").text


@pytest.mark.parametrize("browser", ["cached_db"], indirect=True)
def test_a_sign_out_while_it_is_away_is_one_when_it_is_back(
    browser: Browser, redis: StoppableRedis
) -> None:
    stolen = browser.cookies.get_dict()
    go(redis, "silent")
    browser.submit("/auth/account/", "/auth/sign-out/")
    come_back(redis, "silent")
    thief = Browser(browser.site)
    thief.cookies.update(stolen)
    assert "welcome" not in thief.open("/auth/account/").text
