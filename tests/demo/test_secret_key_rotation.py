"""A new SECRET_KEY: data signed with the old one stay valid while it is a fallback."""

import asyncio
import copy
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.contrib.auth.backends import ModelBackend
from django.core.management import call_command
from django.http import HttpResponse
from django.test import Client, RequestFactory
from pytest_django import Settings

from cookieproj.devices.models import SignedInSession
from cookieproj.engines import inspector, running_engine
from cookieproj.engines.encryption import DecryptionError
from cookieproj.engines.middleware import SessionMiddleware
from cookieproj.engines.secret_key_rotation import KeepSessionKeyMiddleware
from demo.models import User
from tests.browsers import again, browser, is_in, key_of, signed_by_django
from tests.conftest import on
from tests.engines.handover_switch import PAIRS, SERVER_PAIRS, Switch
from tests.families import IN_COOKIES, SERVER_ENGINES, mirrored

Rotate = Callable[[bool], None]


@pytest.fixture
def rotate(settings: Settings) -> Rotate:
    def rotate(keep: bool) -> None:
        settings.SECRET_KEY_FALLBACKS = [django_settings.SECRET_KEY] if keep else []
        settings.SECRET_KEY = "another-key-that-is-long-enough-for-django-0123456789abcdefghij"

    return rotate


@pytest.fixture(params=[True, False], ids=["kept", "dropped"])
def keeps(request: pytest.FixtureRequest) -> bool:
    """Whether the old key is a fallback. If it is not, the data must become invalid."""
    keeps: bool = request.param
    return keeps


def test_users_stay_signed_in(
    profile: str, client: Client, ada: User, rotate: Rotate, keeps: bool
) -> None:
    """The second request sends the renewed cookie."""
    client.force_login(ada)
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    rotate(keeps)
    for _ in range(2):
        assert ("welcome ada" in client.get("/auth/account/").text) == keeps


def test_concurrent_requests_stay_signed_in(
    profile: str, client: Client, ada: User, rotate: Rotate
) -> None:
    """The cookie that all of them sent stays valid, whichever is answered first."""
    client.force_login(ada)
    cookie = client.cookies["sessionid"].value
    rotate(True)
    for _ in range(3):
        visitor = Client()
        visitor.cookies["sessionid"] = cookie
        assert "welcome ada" in visitor.get("/auth/account/").text
        assert visitor.cookies["sessionid"].value


@on(*SERVER_ENGINES)
@pytest.mark.parametrize("listed", [True, False])
def test_session_key_is_kept_only_by_middleware(
    profile: str, client: Client, ada: User, settings: Settings, rotate: Rotate, listed: bool
) -> None:
    """Without it, Django changes the session key, and the previous key becomes invalid."""
    name = "cookieproj.engines.secret_key_rotation.KeepSessionKeyMiddleware"
    assert name in settings.MIDDLEWARE
    if not listed:
        settings.MIDDLEWARE = [
            middleware for middleware in settings.MIDDLEWARE if middleware != name
        ]
    client.force_login(ada)
    late = copy.deepcopy(client)
    rotate(True)
    assert is_in(client)
    assert (key_of(client) == key_of(late)) is listed
    assert is_in(late) is listed


def test_async_view_keeps_session_key(
    profile: str, client: Client, settings: Settings, ada: User, rotate: Rotate
) -> None:
    """On Django's engines too, which have async methods of their own."""
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{mirrored(profile)}"
    client.force_login(ada)
    key = client.cookies["sessionid"].value
    rotate(True)
    request: Any = RequestFactory().get("/")
    request.session = running_engine.store()(key)
    KeepSessionKeyMiddleware(HttpResponse).process_request(request)
    assert async_to_sync(request.auser)() == ada
    assert request.session.session_key == key
    assert request.session.modified


def test_rewritten_session_does_not_need_old_secret_key(
    profile: str, client: Client, ada: User, settings: Settings, rotate: Rotate
) -> None:
    client.force_login(ada)
    rotate(True)
    client.get("/auth/account/")
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    settings.SECRET_KEY_FALLBACKS = []
    assert "welcome ada" in client.get("/auth/account/").text
    assert client.get("/sessions/get-item/?key=color").text == "color is blue\n"


def test_login_cookie_stays_valid(client: Client, ada: User, rotate: Rotate, keeps: bool) -> None:
    client.post("/auth/cookie-sign-in/", {"username": "ada", "password": "cookies"})
    rotate(keeps)
    response = client.get("/auth/cookie-account/")
    assert (response.status_code == 200) == keeps


def test_new_password_ends_login_cookie(client: Client, ada: User, rotate: Rotate) -> None:
    client.post("/auth/cookie-sign-in/", {"username": "ada", "password": "cookies"})
    rotate(True)
    ada.set_password("biscuits")
    ada.save()
    assert client.get("/auth/cookie-account/").status_code == 302


def test_signed_cookie_stays_valid(client: Client, db: None, rotate: Rotate, keeps: bool) -> None:
    client.get("/signed/sign/?name=color&value=blue&salt=recipe")
    rotate(keeps)
    response = client.get("/signed/read/?name=color&salt=recipe&max_age=3600")
    assert ("color is blue" in response.text) == keeps


@pytest.mark.parametrize("purpose", [inspector.KEY, inspector.POSITION])
def test_admin_url_stays_valid(purpose: bytes, rotate: Rotate, keeps: bool) -> None:
    encrypted = inspector.encrypt("0123456789abcdef", purpose)
    rotate(keeps)
    if keeps:
        assert inspector.decrypt(encrypted, purpose) == "0123456789abcdef"
    else:
        with pytest.raises(DecryptionError):
            inspector.decrypt(encrypted, purpose)


@on("signed_cookies")
def test_signed_out_cookie_stays_refused(profile: str, ada: User, rotate: Rotate) -> None:
    """It is also refused if it is older than the registry and has no row."""
    copied = signed_by_django(ada)
    client = browser()
    client.cookies["sessionid"] = copied
    assert is_in(client)
    client.post("/auth/sign-out/")
    rotate(True)
    client.cookies["sessionid"] = copied
    assert not is_in(client)


@on(*SERVER_ENGINES)
def test_exchanged_cookie_stays_ended(
    profile: str, client: Client, settings: Settings, ada: User, rotate: Rotate
) -> None:
    """In a handover from signed cookies, a copy of the cookie must not open the ended session."""
    engine = settings.SESSION_ENGINE
    settings.SESSION_ENGINE = "cookieproj.engines.signed_cookies"
    visitor = Client()
    visitor.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    cookie = visitor.cookies["sessionid"].value
    settings.SESSION_ENGINE = engine
    settings.SESSION_HANDOVER_FROM = "signed_cookies"

    def color() -> str:
        copied = Client()
        copied.cookies["sessionid"] = cookie
        return str(copied.get("/sessions/get-item/?key=color").text)

    assert color() == "color is blue\n"
    exchanged = Client()
    exchanged.cookies["sessionid"] = cookie
    exchanged.post("/lifecycle/flush/")
    assert "blue" not in color()
    rotate(True)
    assert "blue" not in color()


@pytest.fixture(params=PAIRS, ids=" to ".join)
def switch(
    request: pytest.FixtureRequest, settings: Settings, empty_stores: None, db: None
) -> Switch:
    old, new = request.param
    return Switch(old, new, settings)


def test_rotation_during_switch_of_engines(switch: Switch, ada: User, rotate: Rotate) -> None:
    """It takes place after ``movesessions --keep``, where possible, and before the switch."""
    names = ("stays", "signs out before", "signs out between", "signs out after")
    clients = {name: browser(ada) for name in names}
    copied = copy.deepcopy({name: client.cookies for name, client in clients.items()})

    def sign_out(when: str) -> None:
        again(clients[f"signs out {when}"]).post("/auth/sign-out/")

    if (switch.old, switch.new) in SERVER_PAIRS:
        call_command("movesessions", "--from", switch.old, "--to", switch.new, "--keep")
    sign_out("before")
    rotate(True)
    sign_out("between")
    clients["stays"].post("/sessions/set-item/", {"key": "color", "value": "blue"})
    switch.make()
    for _ in range(2):
        client = again(clients["stays"])
        assert is_in(client)
        assert client.get("/sessions/get-item/?key=color").text == "color is blue\n"
    sign_out("after")
    for name in names[1:]:
        client = Client()
        client.cookies = copied[name]
        assert not is_in(client), name


def test_demodata_creates_no_second_sessions(
    profile: str, settings: Settings, rotate: Rotate
) -> None:
    def count_after_demodata() -> tuple[int, int]:
        call_command("demodata", verbosity=0)
        store: Any = running_engine.store()
        if is_in_cookies:
            return SignedInSession.objects.count(), 0
        # MongoDB deletes the expired one by itself, at some moment.
        return SignedInSession.objects.count(), store.count() - store.count_expired()

    settings.DEBUG = True
    is_in_cookies = running_engine.is_held_by_browser()
    before = count_after_demodata()
    rotate(True)
    assert count_after_demodata() == before


@pytest.mark.parametrize("rotated", [True, False])
def test_concurrent_auser_calls(
    profile: str, client: Client, ada: User, rotate: Rotate, rotated: bool
) -> None:
    client.force_login(ada)
    if rotated:
        rotate(True)
    request = request_of(client)

    async def call_concurrently() -> Any:
        return await asyncio.gather(request.auser(), request.auser(), request.session.aget("a"))

    assert async_to_sync(call_concurrently)() == [ada, ada, None]


def test_key_cycled_during_auser_changes(profile: str, client: Client, ada: User) -> None:
    """The middleware keeps the key only when ``auser`` itself would change it."""
    if profile in IN_COOKIES:
        pytest.skip("The key is the session's data.")
    client.force_login(ada)
    request = request_of(client)
    before = request.session.session_key
    original = ModelBackend.aget_user

    async def sign_in(self: ModelBackend, user_id: int) -> Any:
        await request.session.acycle_key()
        return await original(self, user_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ModelBackend, "aget_user", sign_in)
        assert async_to_sync(request.auser)() == ada
    assert request.session.session_key != before


def request_of(client: Client) -> Any:
    """Return a request with the client's cookie, as a view receives it."""
    request = RequestFactory().get("/")
    request.COOKIES["sessionid"] = client.cookies["sessionid"].value
    SessionMiddleware(HttpResponse).process_request(request)
    KeepSessionKeyMiddleware(HttpResponse).process_request(request)
    return request
