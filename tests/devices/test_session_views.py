"""The sign-out button and the countdown of each page, their views, and Clear-Site-Data."""

from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
import time_machine
from django.contrib.sessions.backends.base import SessionBase
from django.template import Context, RequestContext, Template
from django.test import Client, RequestFactory
from django.test.utils import override_script_prefix
from pytest_django import Settings

from demo.models import User
from tests.browsers import browser, is_in, key_of
from tests.conftest import on
from tests.families import IN_COOKIES
from tests.sites import PAGES

from .asking import asks

pytestmark = pytest.mark.django_db

START = datetime(2030, 1, 1, 12, tzinfo=UTC)
BUTTON = 'action="/devices/sign-out/"'
COUNTDOWN = "data-session-end"

# On the others the store's own clock counts.
FROZEN = on("db", "cached_db", "mongodb", "signed_cookies", "encrypted_cookies")


@pytest.fixture
def client(ada: User) -> Client:
    return browser(ada)


@pytest.mark.parametrize("url", [*PAGES, "/recipes/cookies/set/", "/no-such-page/", "/devices/1/"])
def test_button_is_on_every_page_of_a_signed_in_user(url: str, client: Client) -> None:
    assert BUTTON in client.get(url).text
    assert BUTTON not in browser().get(url, follow=True).text


def test_page_of_a_refused_form_has_the_button(client: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    page = strict.post("/devices/sign-out-others/")
    assert page.status_code == 403
    assert BUTTON in page.text


def test_page_of_a_post_leads_back_to_the_start_page_below_the_sites_prefix(
    client: Client, settings: Settings
) -> None:
    settings.DEVICES_ASK_PASSWORD_AFTER = 0
    with override_script_prefix("/app/"):
        page = client.post("/devices/sign-out-others/")
    assert asks(page)
    assert '<a href="/app/auth/sign-in/?next=/app/">' in page.text


def test_tags_and_pages_need_no_context_processors(client: Client, settings: Settings) -> None:
    settings.DEVICES_ASK_PASSWORD_AFTER = 0
    settings.TEMPLATES = [
        {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
    ]
    page = client.post("/devices/sign-out-others/")
    assert asks(page)
    assert "You are signed in as ada." in page.text
    tag = Template("{% load cookieproj_devices %}{% sign_out_button %}")
    assert BUTTON in tag.render(RequestContext(page.wsgi_request))


def test_page_that_asks_for_the_password_has_the_button(client: Client, settings: Settings) -> None:
    settings.DEVICES_ASK_PASSWORD_AFTER = 0
    page = client.post("/devices/sign-out-others/")
    assert asks(page)
    assert BUTTON in page.text


def test_admin_has_a_button_of_its_own(admin: User) -> None:
    assert 'action="/admin/logout/"' in browser(admin).get("/admin/").text


def test_button_signs_out(profile: str, client: Client) -> None:
    key = key_of(client)
    response = client.post("/devices/sign-out/")
    assert (response.status_code, response.headers["Location"]) == (302, "/auth/account/")
    assert not is_in(client)
    if profile not in IN_COOKIES:
        client.cookies["sessionid"] = key
        assert not is_in(client)


def test_button_needs_post_and_token(client: Client) -> None:
    assert client.get("/devices/sign-out/").headers["Location"] == "/devices/"
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    assert strict.post("/devices/sign-out/").status_code == 403
    assert is_in(client)


def test_without_logout_redirect_url_the_sign_in_page_follows(
    client: Client, settings: Settings
) -> None:
    settings.LOGOUT_REDIRECT_URL = None
    assert client.post("/devices/sign-out/").headers["Location"] == "/auth/sign-in/"


@pytest.mark.parametrize("tag", ["sign_out_button", "session_countdown"])
def test_tags_render_nothing_without_user(tag: str, settings: Settings) -> None:
    settings.SESSION_IDLE_AGE = 600
    template = Template("{% load cookieproj_devices %}{% " + tag + " %}")
    contexts: list[dict[str, Any]] = [{}, {"request": RequestFactory().get("/")}]
    assert [template.render(Context(context)).strip() for context in contexts] == ["", ""]


@pytest.mark.parametrize(
    ("host", "is_secure", "is_sent"),
    [
        ("example.com", True, True),
        ("example.com", False, False),
        ("localhost:8000", False, True),
        ("demo.localhost", False, True),
        ("127.0.0.1:8000", False, True),
        ("[::1]:8000", False, True),
        ("localhost.example.com", False, False),
        ("127.0.0.1.example.com", False, False),
    ],
)
@pytest.mark.parametrize("url", ["/devices/sign-out/", "/auth/sign-out/", "/admin/logout/"])
def test_sign_out_clears_the_cache_where_browsers_heed_it(
    url: str, host: str, is_secure: bool, is_sent: bool, admin: User, settings: Settings
) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    client = browser(admin)
    header = {"Clear-Site-Data": '"cache"'} if is_sent else {}
    response = client.post(url, secure=is_secure, headers={"host": host})
    assert response.headers.items() >= header.items()
    assert ("Clear-Site-Data" in response.headers) == is_sent
    # Nobody is signed in any more.
    again = client.post("/devices/sign-out/", secure=is_secure, headers={"host": host})
    assert "Clear-Site-Data" not in again.headers


def test_other_requests_clear_nothing(client: Client) -> None:
    for response in (client.get("/", secure=True), client.get("/devices/", secure=True)):
        assert "Clear-Site-Data" not in response.headers


def status(client: Client) -> Any:
    response = client.get("/devices/status/")
    assert "no-store" in response.headers["Cache-Control"]
    return response.json()


def test_status_says_who_is_signed_in(profile: str, client: Client, ada: User) -> None:
    assert status(client) == {"user": str(ada.pk)}
    client.post("/devices/sign-out/")
    assert status(client) == {"user": None}


def test_status_answers_visitors_of_a_site_that_requires_a_sign_in(settings: Settings) -> None:
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    assert status(browser()) == {"user": None}


@pytest.mark.parametrize("page", ["/engines/", "/no-such-page/"])
def test_page_with_a_very_long_address_has_the_button(page: str, client: Client) -> None:
    """Django makes no redirect to it, and the link to sign in leads back elsewhere."""
    long = client.get(page, {"q": "x" * 20_000})
    assert long.status_code == client.get(page).status_code
    assert BUTTON in long.text
    assert '<a href="/auth/sign-in/">' in long.text


@FROZEN
def test_status_and_page_say_when_the_idle_session_ends(
    profile: str, ada: User, settings: Settings
) -> None:
    settings.SESSION_IDLE_AGE = 600
    with time_machine.travel(START, tick=False) as clock:
        client = browser(ada)
        assert 'ends at <time datetime="2030-01-01T12:10:00+00:00">12:10 UTC</time>' in (
            client.get("/engines/").text
        )
        clock.shift(300)
        # Polling is no activity.
        assert [status(client)["seconds"] for _ in range(3)] == [300, 300, 300]
        client.get("/devices/")
        assert status(client) == {"user": str(ada.pk), "seconds": 600, "is_absolute": False}
        clock.shift(601)
        assert status(client) == {"user": None}


@on("cache", "file")
def test_status_reads_the_end_from_the_store(profile: str, ada: User, settings: Settings) -> None:
    settings.SESSION_IDLE_AGE = 600
    assert 590 <= status(browser(ada))["seconds"] <= 600


@FROZEN
def test_stay_moves_the_idle_end(profile: str, ada: User, settings: Settings) -> None:
    settings.SESSION_IDLE_AGE = 600
    with time_machine.travel(START, tick=False) as clock:
        client = browser(ada)
        clock.shift(20)
        # Too soon to be renewed by a request that only reads.
        assert status(client)["seconds"] == 580
        response = client.post("/devices/stay/", {"next": "/engines/?x=1"})
        assert (response.status_code, response.headers["Location"]) == (302, "/engines/?x=1")
        assert status(client)["seconds"] == 600


@pytest.mark.parametrize("url", ["//evil.example", "https://evil.example/", "javascript:1", ""])
def test_stay_redirects_within_the_site(url: str, client: Client) -> None:
    assert client.post("/devices/stay/", {"next": url}).headers["Location"] == "/devices/"


def test_stay_is_for_signed_in_users_only() -> None:
    location = browser().post("/devices/stay/").headers["Location"]
    assert location == "/auth/sign-in/?next=/devices/stay/"


@FROZEN
def test_absolute_end_offers_a_sign_in(profile: str, ada: User, settings: Settings) -> None:
    settings.SESSION_IDLE_AGE = 600
    settings.SESSION_ABSOLUTE_AGE = 3600
    with time_machine.travel(START, tick=False) as clock:
        client = browser(ada)
        assert status(client)["is_absolute"] is False
        for _ in range(7):
            clock.shift(480)
            client.get("/devices/")
        assert status(client) == {"user": str(ada.pk), "seconds": 240, "is_absolute": True}
        page = client.get("/engines/").text.partition(COUNTDOWN)[2]
        assert "13:00 UTC" in page
        assert "data-stay hidden" in page
        assert '<a href="/auth/sign-in/?next=/engines/" data-sign-in>' in page


@pytest.mark.parametrize(
    ("idle", "absolute", "warning"),
    [(30 * 60, None, 180), (600, None, 60), (60, None, 30), (None, 3600, 60), (1800, 120, 60)],
)
def test_warning_comes_in_time(
    idle: int | None, absolute: int | None, warning: int, client: Client, settings: Settings
) -> None:
    settings.SESSION_IDLE_AGE, settings.SESSION_ABSOLUTE_AGE = idle, absolute
    assert f'data-warning="{warning}"' in client.get("/engines/").text


def test_without_timeouts_nothing_counts_down(client: Client) -> None:
    assert COUNTDOWN not in client.get("/engines/").text


@on("db")
def test_djangos_engine_counts_down_too(profile: str, ada: User, settings: Settings) -> None:
    """It knows no timeouts, so its own age counts."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    settings.SESSION_IDLE_AGE = 600
    store: type[SessionBase] = import_module(settings.SESSION_ENGINE).SessionStore
    with time_machine.travel(START, tick=False):
        client = browser(ada)
        two_weeks = timedelta(seconds=settings.SESSION_COOKIE_AGE)
        assert store(key_of(client)).get_expiry_date() == START + two_weeks
        assert status(client)["seconds"] == settings.SESSION_COOKIE_AGE
