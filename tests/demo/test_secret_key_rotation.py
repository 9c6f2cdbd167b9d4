"""SECRET_KEY becomes another one: what the old one signed stays good while it is a fallback."""

import asyncio
import copy
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as running
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
from tests.families import IN_COOKIES, mirrored

Rotate = Callable[[bool], None]


@pytest.fixture
def rotate(settings: Settings) -> Rotate:
    def rotate(keep: bool) -> None:
        settings.SECRET_KEY_FALLBACKS = [running.SECRET_KEY] if keep else []
        settings.SECRET_KEY = "another-key-that-is-long-enough-for-django-0123456789abcdefghij"

    return rotate


@pytest.fixture(params=[True, False], ids=["kept", "dropped"])
def keeps(request: pytest.FixtureRequest) -> bool:
    """Whether the old key is a fallback; that it is not shows that a test can fail."""
    keeps: bool = request.param
    return keeps


def test_who_was_signed_in_still_is(
    profile: str, client: Client, ada: User, rotate: Rotate, keeps: bool
) -> None:
    """With what the session holds; and on the second request too, which brings what was renewed."""
    client.force_login(ada)
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    rotate(keeps)
    for _ in range(2):
        assert ("welcome ada" in client.get("/auth/account/").text) == keeps


def test_none_of_the_requests_at_once_signs_the_browser_out(
    profile: str, client: Client, ada: User, rotate: Rotate
) -> None:
    """Whichever is answered first, the key or cookie that all of them were sent with stays good."""
    client.force_login(ada)
    cookie = client.cookies["sessionid"].value
    rotate(True)
    for _ in range(3):
        sent = Client()
        sent.cookies["sessionid"] = cookie
        assert "welcome ada" in sent.get("/auth/account/").text
        assert sent.cookies["sessionid"].value


@on("db", "cache", "file", "cached_db")
@pytest.mark.parametrize("listed", [True, False])
def test_as_far_as_the_site_has_asked_for_it(
    profile: str, client: Client, ada: User, settings: Settings, rotate: Rotate, listed: bool
) -> None:
    """By itself Django gives the session another key, and the one before opens nothing."""
    name = "cookieproj.engines.secret_key_rotation.KeepSessionKeyMiddleware"
    assert name in settings.MIDDLEWARE
    if not listed:
        settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if each != name]
    client.force_login(ada)
    late = copy.deepcopy(client)
    rotate(True)
    assert is_in(client)
    assert (key_of(client) == key_of(late)) is listed
    assert is_in(late) is listed


def test_nor_in_an_asynchronous_view(
    profile: str, client: Client, settings: Settings, ada: User, rotate: Rotate
) -> None:
    """On Django's engines too, which have a cycle_key of their own for those."""
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


def test_what_is_written_again_needs_the_old_key_no_more(
    profile: str, client: Client, ada: User, settings: Settings, rotate: Rotate
) -> None:
    client.force_login(ada)
    rotate(True)
    client.get("/auth/account/")
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    settings.SECRET_KEY_FALLBACKS = []
    assert "welcome ada" in client.get("/auth/account/").text
    assert client.get("/sessions/get-item/?key=color").text == "color is blue\n"


def test_a_login_cookie_stays_good(client: Client, ada: User, rotate: Rotate, keeps: bool) -> None:
    client.post("/auth/cookie-sign-in/", {"username": "ada", "password": "cookies"})
    rotate(keeps)
    answered = client.get("/auth/cookie-account/")
    assert (answered.status_code == 200) == keeps


def test_but_not_with_another_password(client: Client, ada: User, rotate: Rotate) -> None:
    client.post("/auth/cookie-sign-in/", {"username": "ada", "password": "cookies"})
    rotate(True)
    ada.set_password("biscuits")
    ada.save()
    assert client.get("/auth/cookie-account/").status_code == 302


def test_a_signed_cookie_stays_good(client: Client, db: None, rotate: Rotate, keeps: bool) -> None:
    client.get("/signed/sign/?name=color&value=blue&salt=recipe")
    rotate(keeps)
    answered = client.get("/signed/read/?name=color&salt=recipe&max_age=3600")
    assert ("color is blue" in answered.text) == keeps


@pytest.mark.parametrize("purpose", [inspector.KEY, inspector.POSITION])
def test_an_address_of_the_admin_stays_good(purpose: bytes, rotate: Rotate, keeps: bool) -> None:
    sealed = inspector.encrypt("0123456789abcdef", purpose)
    rotate(keeps)
    if keeps:
        assert inspector.decrypt(sealed, purpose) == "0123456789abcdef"
    else:
        with pytest.raises(DecryptionError):
            inspector.decrypt(sealed, purpose)


@on("signed_cookies")
def test_a_cookie_that_was_signed_out_stays_so(profile: str, ada: User, rotate: Rotate) -> None:
    """One from before there was an index too, which names no row of it."""
    copied = signed_by_django(ada)
    client = browser()
    client.cookies["sessionid"] = copied
    assert is_in(client)
    client.post("/auth/sign-out/")
    rotate(True)
    client.cookies["sessionid"] = copied
    assert not is_in(client)


@on("db", "cache", "file", "cached_db")
def test_a_cookie_that_was_exchanged_stays_so(
    profile: str, client: Client, settings: Settings, ada: User, rotate: Rotate
) -> None:
    """In a handover from signed cookies; else a copy would open once more what has been ended."""
    here = settings.SESSION_ENGINE
    settings.SESSION_ENGINE = "cookieproj.engines.signed_cookies"
    before = Client()
    before.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    cookie = before.cookies["sessionid"].value
    settings.SESSION_ENGINE = here
    settings.SESSION_HANDOVER_FROM = "signed_cookies"

    def color() -> str:
        late = Client()
        late.cookies["sessionid"] = cookie
        return str(late.get("/sessions/get-item/?key=color").text)

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


def test_in_the_midst_of_a_switch(switch: Switch, ada: User, rotate: Rotate) -> None:
    """Between what was made ready for it, where that can be, and the switch itself."""
    names = ("stays", "leaves before", "leaves between", "leaves after")
    clients = {name: browser(ada) for name in names}
    copied = copy.deepcopy({name: client.cookies for name, client in clients.items()})

    def leaves(when: str) -> None:
        again(clients[f"leaves {when}"]).post("/auth/sign-out/")

    if (switch.old, switch.new) in SERVER_PAIRS:
        call_command("movesessions", "--from", switch.old, "--to", switch.new, "--keep")
    leaves("before")
    rotate(True)
    leaves("between")
    clients["stays"].post("/sessions/set-item/", {"key": "color", "value": "blue"})
    switch.make()
    for _ in range(2):
        client = again(clients["stays"])
        assert is_in(client)
        assert client.get("/sessions/get-item/?key=color").text == "color is blue\n"
    leaves("after")
    for name in names[1:]:
        client = Client()
        client.cookies = copied[name]
        assert not is_in(client), name


def test_demo_sessions_are_made_once(profile: str, settings: Settings, rotate: Rotate) -> None:
    def made() -> tuple[int, int]:
        call_command("demodata", verbosity=0)
        stored: Any = running_engine.store()
        if is_in_cookies:
            return SignedInSession.objects.count(), 0
        # MongoDB deletes the expired one by itself, at a moment of its own.
        return SignedInSession.objects.count(), stored.count() - stored.count_expired()

    settings.DEBUG = True
    is_in_cookies = running_engine.is_held_by_browser()
    before = made()
    rotate(True)
    assert made() == before


@pytest.mark.parametrize("rotated", [True, False])
def test_to_ask_twice_at_once_who_it_is(
    profile: str, client: Client, ada: User, rotate: Rotate, rotated: bool
) -> None:
    client.force_login(ada)
    if rotated:
        rotate(True)
    request = opened_by(client)

    async def ask() -> Any:
        return await asyncio.gather(request.auser(), request.auser(), request.session.aget("a"))

    assert async_to_sync(ask)() == [ada, ada, None]


def test_whoever_signs_in_meanwhile_gets_another_key(
    profile: str, client: Client, ada: User
) -> None:
    """While it is asked who it is the session keeps its key, to that alone."""
    if profile in IN_COOKIES:
        pytest.skip("Its key is what is in it.")
    client.force_login(ada)
    request = opened_by(client)
    before = request.session.session_key
    looking_up = ModelBackend.aget_user

    async def sign_in(self: ModelBackend, user_id: int) -> Any:
        await request.session.acycle_key()
        return await looking_up(self, user_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ModelBackend, "aget_user", sign_in)
        assert async_to_sync(request.auser)() == ada
    assert request.session.session_key != before


def opened_by(client: Client) -> Any:
    """A request of that browser, as a view gets it."""
    request = RequestFactory().get("/")
    request.COOKIES["sessionid"] = client.cookies["sessionid"].value
    SessionMiddleware(HttpResponse).process_request(request)
    KeepSessionKeyMiddleware(HttpResponse).process_request(request)
    return request
