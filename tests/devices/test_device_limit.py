"""DEVICES_LIMIT on every profile, with our engines and with Django's."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.contrib.auth import aauthenticate, alogin, authenticate, login
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from django.utils import timezone
from pytest_django import Settings

from cookieproj.devices import session_registry, write_throttle
from cookieproj.devices.models import SignedInSession
from cookieproj.devices.signals import DEVICE_LIMIT
from cookieproj.engines import running_engine
from demo.models import User
from tests.browsers import IPHONE, browser, is_in, key_of, row_of
from tests.conftest import on
from tests.families import COOKIE_ENGINES, IN_COOKIES, run_on
from tests.fault_table import WHOSE, Whose

from .conftest import SentSignals

FORM = {"username": "ada", "password": "cookies"}
SIGN_IN = "/auth/sign-in/"


def catching(request: HttpRequest) -> HttpResponse:
    """A site's own view, which handles the error itself."""
    try:
        login(request, authenticate(request, **FORM))
    except PermissionDenied:
        assert isinstance(request.user, AnonymousUser)
        return HttpResponse("Not today.")
    return HttpResponse("Welcome.")


async def asynchronous(request: HttpRequest) -> HttpResponse:
    await alogin(request, await aauthenticate(request, **FORM))
    return HttpResponse("Welcome.")


def failing(request: HttpRequest) -> HttpResponse:
    login(request, authenticate(request, **FORM))
    return HttpResponse(status=500)


urlpatterns = [
    path("catching/", catching),
    path("asynchronous/", asynchronous),
    path("failing/", failing),
    path("", include("cookieproj.urls")),
]


@pytest.fixture(params=WHOSE)
def family(request: pytest.FixtureRequest, profile: str, settings: Settings) -> Whose:
    whose: Whose = request.param
    run_on(settings, whose, profile)
    settings.ROOT_URLCONF = __name__
    return whose


@pytest.fixture
def limited_to(settings: Settings) -> Callable[..., None]:
    def limit(number: Any, over: str = "refuse") -> None:
        settings.DEVICES_LIMIT, settings.DEVICES_OVER_LIMIT = number, over

    return limit


def opened(key: str | None) -> SessionBase:
    return running_engine.store()(key)


def age(client: Client, **since: float) -> None:
    """Let the client's session be last seen so long ago."""
    last_seen = timezone.now() - timedelta(**since)
    SignedInSession.objects.filter(pk=row_of(client).pk).update(last_seen=last_seen)


def test_refused_sign_in_signs_nobody_in(
    family: Whose, profile: str, ada: User, limited_to: Callable[..., None]
) -> None:
    limited_to(1)
    first, second = browser(ada), browser()
    second.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    visitors_key = key_of(second)
    response = second.post(SIGN_IN, FORM)
    assert response.status_code == 403
    assert "already signed in on 1 device" in response.text
    assert response.templates[0].name == "cookieproj_devices/sign_in_refused.html"
    assert [is_in(first), is_in(second)] == [True, False]
    assert SignedInSession.objects.get() == row_of(first)
    if profile not in IN_COOKIES:
        assert not opened(None).exists(visitors_key)
    first.post(f"/devices/{row_of(first).pk}/sign-out/")
    assert second.post(SIGN_IN, FORM).status_code == 302
    assert is_in(second)


@on("db", "cache")
@pytest.mark.parametrize(("previous", "status"), [("", 302), ("file", 403)])
def test_session_of_an_engine_that_the_site_has_left_does_not_count(
    previous: str,
    status: int,
    profile: str,
    settings: Settings,
    ada: User,
    limited_to: Callable[..., None],
) -> None:
    """In a handover the site has not left it."""
    limited_to(1)
    left = browser(ada)
    SignedInSession.objects.filter(pk=row_of(left).pk).update(engine="file")
    settings.SESSION_HANDOVER_FROM = previous
    assert browser().post(SIGN_IN, FORM).status_code == status


def test_refused_sign_in_leaves_no_stored_session(
    family: Whose, profile: str, ada: User, limited_to: Callable[..., None]
) -> None:
    """Whatever key the session has had in the request."""
    limited_to(1)
    browser(ada)
    visitor = browser()
    visitor.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    keys = [key_of(visitor)]
    original = session_registry.undo_sign_in

    def undo(request: HttpRequest) -> None:
        keys.append(request.session.session_key or "")
        original(request)

    with mock.patch.object(session_registry, "undo_sign_in", undo):
        assert visitor.post(SIGN_IN, FORM).status_code == 403
    assert len(keys) == 2
    if profile not in IN_COOKIES:
        assert [opened(None).exists(key) for key in keys] == [False, False]


@pytest.mark.parametrize("address", ["/catching/", "/asynchronous/", "/admin/login/"])
def test_any_view_is_refused(
    address: str, family: Whose, profile: str, ada: User, limited_to: Callable[..., None]
) -> None:
    User.objects.update(is_staff=True)
    limited_to(1)
    first, second = browser(ada), browser()
    response = second.post(address, FORM)
    if address == "/catching/":
        assert response.text == "Not today."
    else:
        assert (response.status_code, "Not signed in" in response.text) == (403, True)
    assert [is_in(first), is_in(second)] == [True, False]
    assert SignedInSession.objects.get() == row_of(first)


@pytest.mark.django_db(transaction=True)
def test_async_requests_are_refused(
    family: Whose, profile: str, ada: User, limited_to: Callable[..., None]
) -> None:
    limited_to(1)

    async def statuses() -> list[int]:
        first, second = AsyncClient(), AsyncClient()
        responses = [await client.post("/asynchronous/", FORM) for client in (first, second)]
        responses += [await client.get("/auth/account/") for client in (first, second)]
        return [response.status_code for response in responses]

    assert async_to_sync(statuses)() == [200, 403, 200, 302]


@pytest.mark.parametrize("is_atomic", [False, True])
@pytest.mark.django_db(transaction=True)
def test_refusal_ends_the_session_of_another_user_in_that_browser(
    is_atomic: bool,
    family: Whose,
    profile: str,
    settings: Settings,
    ada: User,
    admin: User,
    limited_to: Callable[..., None],
) -> None:
    if (profile == "signed_cookies" and family == "Django's") or profile == "encrypted_cookies":
        # A copy of a cookie of Django's engine can be refused only with SESSION_REVOCATION_CHECK.
        pass
    limited_to(1)
    browser(ada)
    client = browser(admin)
    copy = browser()
    copy.cookies["sessionid"] = key_of(client)
    with mock.patch.dict(connection.settings_dict, ATOMIC_REQUESTS=is_atomic):
        assert client.post(SIGN_IN, FORM).status_code == 403
    assert not is_in(client)
    if running_engine.why_not_single():
        return
    assert not is_in(copy)
    assert list(SignedInSession.objects.values_list("user", flat=True)) == [ada.pk]
    assert browser(admin)


@on(*COOKIE_ENGINES)
def test_refusal_deletes_the_cookie_of_another_user_if_no_server_can_refuse_it(
    profile: str, settings: Settings, ada: User, admin: User, limited_to: Callable[..., None]
) -> None:
    del settings.SESSION_REVOCATION_CHECK
    limited_to(1)
    browser(ada)
    client = browser(admin)
    assert client.post(SIGN_IN, FORM).status_code == 403
    assert not is_in(client)


def test_refusal_leaves_the_cookie_of_a_sign_in_in_another_tab(
    profile: str, ada: User, limited_to: Callable[..., None]
) -> None:
    """Both tabs sign in with the session of one visitor."""
    limited_to(1)
    client, tab = browser(), browser()
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    tab.cookies["sessionid"] = key_of(client)
    assert client.post(SIGN_IN, FORM).status_code == 302
    response = tab.post(SIGN_IN, FORM)
    assert response.status_code == 403
    assert "sessionid" not in response.cookies
    assert is_in(client)


@pytest.mark.parametrize("over", ["refuse", "end_oldest"])
def test_second_sign_in_with_the_same_session_is_not_one_more(
    over: str, family: Whose, profile: str, ada: User, limited_to: Callable[..., None]
) -> None:
    limited_to(2, over)
    client, other = browser(ada), browser(ada)
    row = row_of(client)
    assert client.post(SIGN_IN, FORM).status_code == 302
    assert row_of(client) == row
    assert [is_in(client), is_in(other)] == [True, True]


@pytest.mark.django_db(transaction=True)
def test_session_not_used_for_longest_ends(
    family: Whose,
    profile: str,
    ada: User,
    limited_to: Callable[..., None],
    sent_signals: SentSignals,
) -> None:
    limited_to(2, "end_oldest")
    daily, unused = browser(ada), browser(ada, IPHONE)
    age(unused, hours=5)
    age(daily, hours=1)
    row = row_of(unused)
    sent_signals.clear()
    new = browser()
    response = new.post(f"{SIGN_IN}?next=/devices/", FORM, follow=True)
    if running_engine.why_not_single():
        assert response.status_code == 403
        assert [is_in(client) for client in (daily, unused, new)] == [True, True, False]
        return
    assert "Signed out: Mobile Safari on iOS." in response.text
    assert "at most 2 devices" in response.text
    assert [is_in(client) for client in (daily, unused, new)] == [True, False, True]
    assert sent_signals == [(DEVICE_LIMIT, str(row.pk)), ("started", str(row_of(new).pk))]
    assert set(SignedInSession.objects.all()) == {row_of(daily), row_of(new)}


@on("db")
def test_lower_limit_applies_at_the_next_sign_in(
    profile: str, ada: User, limited_to: Callable[..., None]
) -> None:
    clients = [browser(ada) for _ in range(4)]
    limited_to(2, "end_oldest")
    assert all(map(is_in, clients))
    clients.append(browser(ada))
    assert [is_in(client) for client in clients] == [False, False, False, True, True]


@on("db")
@pytest.mark.parametrize("over", ["refuse", "end_oldest"])
def test_devices_page_says_the_limit(
    over: str, profile: str, ada: User, limited_to: Callable[..., None]
) -> None:
    client = browser(ada)
    assert "You can be signed in" not in client.get("/devices/").text
    limited_to(3, over)
    page = client.get("/devices/").text
    assert "You can be signed in on at most 3 devices." in page
    assert ("sign out on one of them first" in page) == (over == "refuse")


def lose_session(client: Client) -> None:
    session = opened(key_of(client))
    session.delete(session.session_key)


def expire(client: Client) -> None:
    rows = SignedInSession.objects.filter(pk=row_of(client).pk)
    rows.update(expires=timezone.now() - timedelta(minutes=1))


def change_password(client: Client) -> None:
    User.objects.update(password=make_password("cookies"))


@pytest.mark.parametrize("over", ["refuse", "end_oldest"])
@pytest.mark.parametrize("end", [lose_session, expire, change_password])
def test_sessions_that_are_gone_do_not_count(
    end: Callable[[Client], None],
    over: str,
    family: Whose,
    profile: str,
    ada: User,
    limited_to: Callable[..., None],
) -> None:
    limited_to(2, over)
    other = browser(ada)
    age(other, days=1)
    end(browser(ada))
    if end is lose_session and running_engine.is_held_by_browser():
        # Nobody can tell: the row is all that there is.
        is_refused = over == "refuse" or running_engine.why_not_single()
        assert browser().post(SIGN_IN, FORM).status_code == (403 if is_refused else 302)
        return
    assert is_in(browser(ada))
    if end is not change_password:
        assert is_in(other)


def test_sign_in_whose_response_failed_does_not_count_for_long(
    family: Whose, profile: str, ada: User, limited_to: Callable[..., None]
) -> None:
    limited_to(1)
    failed = browser()
    assert failed.post("/failing/").status_code == 500
    assert SignedInSession.objects.exists()
    later = timezone.now() + timedelta(minutes=2)
    with time_machine.travel(later):
        status = browser().post(SIGN_IN, FORM).status_code
    assert status == (403 if running_engine.is_held_by_browser() else 302)


@on("db")
def test_other_users_sessions_do_not_count(
    profile: str, ada: User, admin: User, limited_to: Callable[..., None]
) -> None:
    limited_to(1)
    assert is_in(browser(admin))
    assert is_in(browser(ada))


def one_for_staff(user: User) -> int | None:
    return 1 if user.is_staff else None


@on("db")
@pytest.mark.parametrize("limit", [one_for_staff, f"{__name__}.one_for_staff"])
def test_limit_can_depend_on_the_user(
    limit: Any, profile: str, ada: User, admin: User, limited_to: Callable[..., None]
) -> None:
    limited_to(limit)
    browser(ada)
    browser(ada)
    browser(admin)
    response = browser().post(SIGN_IN, FORM | {"username": "admin"})
    assert response.status_code == 403


@on("db")
def test_function_that_returns_no_limit_is_an_error(
    profile: str, ada: User, limited_to: Callable[..., None]
) -> None:
    limited_to(lambda _user: 0)
    with pytest.raises(ImproperlyConfigured, match="gives 0"):
        browser(ada)


@pytest.mark.parametrize("over", ["refuse", "end_oldest"])
@pytest.mark.django_db(transaction=True)
def test_limit_applies_when_a_failed_registry_is_back(
    over: str,
    family: Whose,
    profile: str,
    ada: User,
    limited_to: Callable[..., None],
    sent_signals: SentSignals,
) -> None:
    limited_to(1, over)
    first, late = browser(ada), browser()
    with mock.patch("cookieproj.devices.session_registry.try_write", return_value=False):
        assert late.post(SIGN_IN, FORM).status_code == 302
    sent_signals.clear()
    with time_machine.travel(timezone.now() + timedelta(seconds=write_throttle.RETRY_AFTER + 1)):
        late.get("/auth/account/")
        is_kept = over == "end_oldest" and not running_engine.why_not_single()
        assert is_in(late) == is_kept or running_engine.why_not_single()
        assert is_in(first) != is_kept
    assert SignedInSession.objects.count() == 1
    assert [reason for reason, _pk in sent_signals] == [DEVICE_LIMIT]


@pytest.mark.parametrize("over", ["refuse", "end_oldest"])
def test_limit_applies_when_an_older_session_is_registered(
    over: str, family: Whose, profile: str, ada: User, limited_to: Callable[..., None]
) -> None:
    older = browser()
    with (
        mock.patch("cookieproj.devices.session_registry.register"),
        mock.patch("cookieproj.devices.tracking.track"),
    ):
        assert older.post(SIGN_IN, FORM).status_code == 302
    limited_to(1, over)
    first = browser(ada)
    older.get("/auth/account/")
    is_kept = over == "end_oldest" and not running_engine.why_not_single()
    assert SignedInSession.objects.count() == 1
    if running_engine.why_not_single():
        return
    assert [is_in(first), is_in(older)] == [not is_kept, is_kept]


@on("db")
def test_no_limit_costs_no_statement(
    profile: str, ada: User, limited_to: Callable[..., None]
) -> None:
    """Neither does a function that returns none."""

    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            browser(ada)
        return len(captured)

    browser(ada)
    without = statements()
    limited_to(lambda _user: None)
    assert statements() == without
    limited_to(99)
    assert statements() > without
