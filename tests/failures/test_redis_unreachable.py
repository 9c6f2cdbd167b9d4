"""Redis becomes unreachable for a signed-in browser, and is reachable again later."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import copied
from tests.servers import StoppableRedis
from tests.sites import QUICK, Browser, running

# Seconds for two time-outs of 2 s, on the slowest machine. Without time-outs, a request would take
# as long as the outage.
MAX_SECONDS = 60


@pytest.fixture
def browser(
    request: pytest.FixtureRequest, redis: StoppableRedis, tmp_path: Path, demo_database: Path
) -> Iterator[Browser]:
    """A browser in which Ada is signed in, on the profile of the parameter."""
    variables = {
        "SESSION_PROFILE": request.param,
        "DATABASE_URL": copied(demo_database, tmp_path),
        "CACHE_URL": f"{redis.url}/0",
    }
    with running(QUICK, **variables) as site:
        browser = Browser(site)
        browser.submit("/auth/sign-in/", "/auth/sign-in/", username="ada", password="cookies")
        yield browser


def disconnect(redis: StoppableRedis, how: str) -> None:
    redis.freeze() if how == "silent" else redis.stop()
    assert not redis.answers()


def reconnect(redis: StoppableRedis, how: str) -> None:
    redis.thaw() if how == "silent" else redis.start()
    assert redis.answers()


@pytest.mark.parametrize("how", ["stopped", "silent"])
@pytest.mark.parametrize("browser", ["cache"], indirect=True)
def test_unreachable_redis_on_cache_is_503_and_signs_out_nobody(
    browser: Browser, redis: StoppableRedis, how: str
) -> None:
    cookies = browser.cookies.get_dict()
    disconnect(redis, how)
    started = time.monotonic()
    response = browser.open("/auth/account/")
    duration = time.monotonic() - started
    assert response.status_code == 503
    assert "reload the page" in response.text
    assert str(redis.port) not in response.text
    assert "Set-Cookie" not in response.headers
    assert duration < MAX_SECONDS
    assert browser.open("/").status_code == 200
    reconnect(redis, how)
    assert browser.cookies.get_dict() == cookies
    assert "welcome ada" in browser.open("/auth/account/").text


@pytest.mark.parametrize("how", ["stopped", "silent"])
@pytest.mark.parametrize("browser", ["cached_db"], indirect=True)
def test_requests_succeed_on_cached_db_while_redis_is_unreachable(
    browser: Browser, redis: StoppableRedis, how: str
) -> None:
    disconnect(redis, how)
    started = time.monotonic()
    assert "welcome ada" in browser.open("/auth/account/").text
    assert time.monotonic() - started < MAX_SECONDS
    browser.submit("/recipes/sessions/set-item/", "/sessions/set-item/", value="blue")
    assert browser.open("/sessions/get-item/").text == "color is blue\n"
    reconnect(redis, how)
    assert browser.open("/sessions/get-item/").text == "color is blue\n"
    browser.submit("/auth/account/", "/auth/sign-out/")
    assert "welcome" not in browser.open("/auth/account/").text


@pytest.mark.parametrize("browser", ["cached_db"], indirect=True)
def test_sign_out_while_redis_is_unreachable_is_final(
    browser: Browser, redis: StoppableRedis
) -> None:
    stolen = browser.cookies.get_dict()
    disconnect(redis, "silent")
    browser.submit("/auth/account/", "/auth/sign-out/")
    reconnect(redis, "silent")
    thief = Browser(browser.site)
    thief.cookies.update(stolen)
    assert "welcome" not in thief.open("/auth/account/").text
