"""A handover for code that opens sessions by the engine's class, as many packages do."""

import sys
from collections.abc import Callable
from http.cookies import SimpleCookie
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.sessions import SessionMiddlewareStack  # type: ignore[import-untyped]
from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware as DjangosMiddleware
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from cookieproj.engines.constants import (
    DJANGO_ENGINES,
    ENCRYPTED_COOKIES,
    MONGODB,
    OUR_ENGINES,
    SIGNED_COOKIES,
)
from cookieproj.engines.handover import session_store
from cookieproj.profiles import PROFILES
from tests.families import IN_COOKIES

from .contract import Request
from .handover_switch import PAIRS, Browser, Switch, browser_of_moved_session, flush, only_switches

# Imported before a test changes a setting, like allauth.socialaccount.sessions imports its class.
STORES: dict[str, Any] = {
    name: import_module(f"{OUR_ENGINES}{name}").SessionStore for name in PROFILES
}

FROM_SERVER = only_switches(pair for pair in PAIRS if pair[0] not in IN_COOKIES)
BETWEEN_SERVERS = only_switches(pair for pair in PAIRS if not IN_COOKIES & set(pair))
HALVES = pytest.mark.parametrize("half", ["sync", "async"])


def running_class() -> Any:
    """Import the class like channels.sessions, allauth.usersessions and allauth.headless."""
    return import_module(settings.SESSION_ENGINE).SessionStore


def hands_over(engine: Any) -> bool:
    """Whether sessions of that class, or their stores, combine two engines."""
    session = engine()
    return type(session) is not engine or type(session._store) is not type(session.make_store())


class TestOpening:
    @HALVES
    def test_session_of_the_old_store_opens(self, switch: Switch, half: str) -> None:
        browser = browser_of_moved_session(switch)
        assert Request(running_class()(session_key=browser.cookie), half).data == {"a": 1}
        assert browser.read() == {"a": 1}

    def test_class_imported_before_the_switch_opens_the_old_session(self, switch: Switch) -> None:
        browser = browser_of_moved_session(switch)
        assert STORES[switch.new](browser.cookie)["a"] == 1

    @HALVES
    def test_opened_session_can_be_changed(self, switch: Switch, half: str) -> None:
        browser = browser_of_moved_session(switch)
        session = Request(running_class()(browser.cookie), half)
        session.set(b=2).save()
        assert Browser(session.session_key).read() == {"a": 1, "b": 2}
        assert browser.read()["a"] == 1

    @only_switches(pair for pair in PAIRS if pair[1] != MONGODB)
    def test_session_is_an_instance_of_the_engine_and_of_djangos(self, switch: Switch) -> None:
        switch.make()
        mirrored = SIGNED_COOKIES if switch.new == ENCRYPTED_COOKIES else switch.new
        djangos = import_module(f"{DJANGO_ENGINES}{mirrored}").SessionStore
        assert isinstance(running_class()(), running_class())
        assert isinstance(running_class()(), djangos)
        assert issubclass(type(running_class()()), STORES[switch.new])
        assert type(running_class()()) is session_store()
        # Part of the salt of Django's signatures.
        assert running_class()().key_salt == djangos().key_salt

    def test_class_is_the_engines_own_after_the_handover(self, switch: Switch) -> None:
        switch.make()
        assert hands_over(running_class())
        switch.run(switch.new, "")
        assert not hands_over(running_class())
        assert running_class() is STORES[switch.new] is session_store()


class TestEnding:
    """Packages that list sessions and end those of other browsers."""

    @HALVES
    @pytest.mark.parametrize("how", ["delete", "flush"])
    def test_opened_session_is_ended_in_both_stores(
        self, switch: Switch, how: str, half: str
    ) -> None:
        browser = browser_of_moved_session(switch)
        getattr(Request(running_class()(browser.cookie), half), how)()
        assert browser.copy().read() == {}
        switch.back()
        if switch.old not in IN_COOKIES:
            assert browser.read() == {}

    @HALVES
    def test_session_is_ended_in_both_stores_by_its_key(self, switch: Switch, half: str) -> None:
        """Like allauth.usersessions.models.UserSession.end."""
        browser = browser_of_moved_session(switch)
        Request(running_class()(), half).delete(browser.cookie)
        assert browser.copy().read() == {}
        switch.back()
        if switch.old not in IN_COOKIES:
            assert browser.read() == {}

    @FROM_SERVER
    @HALVES
    def test_session_exists_until_it_is_deleted(self, switch: Switch, half: str) -> None:
        """Like allauth.usersessions.models.UserSession.purge before it deletes a row."""
        browser, ended = browser_of_moved_session(switch), Browser()
        store = Request(running_class()(), half)
        assert store.exists(browser.cookie)
        store.delete(browser.cookie)
        assert not store.exists(browser.cookie)
        assert not store.exists(ended.cookie)


class TestClassMethods:
    @FROM_SERVER
    def test_alive_looks_in_both_stores(self, switch: Switch) -> None:
        browser, unmoved, ended = Browser(), Browser(), Browser()
        for visitor in (browser, unmoved, ended):
            visitor.set(a=1)
        keys = [visitor.cookie for visitor in (unmoved, ended)]
        switch.make()
        for _ in range(2):
            browser.read()
        ended.visit(flush)
        assert running_class().alive([browser.cookie, *keys]) == {browser.cookie, keys[0]}

    @BETWEEN_SERVERS
    @HALVES
    def test_other_class_methods_use_the_new_store(self, switch: Switch, half: str) -> None:
        browser = browser_of_moved_session(switch)
        browser.read()
        store, alone = running_class(), switch.store(switch.new)
        assert list(map(key_of, store.walk())) == [browser.cookie]
        assert list(map(key_of, store.page().sessions)) == [browser.cookie]
        assert store.count() == alone.count()
        assert Request(store, half).clear_expired() == 0
        if hasattr(store, "get_model_class"):
            assert store.get_model_class() is alone.get_model_class()

    @BETWEEN_SERVERS
    def test_alive_of_a_custom_engine_looks_in_both_stores(
        self, switch: Switch, custom_engine: Callable[[str], str]
    ) -> None:
        browser = Browser()
        browser.set(a=1)
        switch.settings.SESSION_ENGINE = custom_engine(switch.new)
        switch.settings.SESSION_HANDOVER_FROM = switch.old
        assert running_class().alive([browser.cookie, "x" * 32]) == {browser.cookie}


def key_of(listed: Any) -> str:
    key: str = listed.key
    return key


class TestOtherEngines:
    def test_class_of_the_old_engine_is_unchanged(self, switch: Switch) -> None:
        switch.make()
        browser = Browser()
        browser.set(a=1)
        assert type(STORES[switch.old]()) is STORES[switch.old]
        if not switch.share_rows:
            assert dict(STORES[switch.old](browser.cookie).items()) == {}

    def test_only_the_running_engine_hands_over(self, switch: Switch) -> None:
        switch.make()
        for store in (*STORES.values(), type("SessionStore", (running_class(),), {})):
            assert hands_over(store) == (store is running_class())


@pytest.fixture
def custom_engine(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Creates an engine of the site's own, whose class has another name.

    It has the arguments of django-user-sessions, whose middleware passes them by name.
    """

    def make(name: str) -> str:
        base: Any = STORES[name]

        class Visited(base):  # type: ignore[misc]
            def __init__(
                self, session_key: str | None = None, user_agent: str = "", ip: str = ""
            ) -> None:
                super().__init__(session_key)
                self.user_agent, self.ip = user_agent, ip

            @classmethod
            def alive(cls, keys: Any) -> set[str]:
                alive_keys: set[str] = super().alive(keys)
                return alive_keys

        module = ModuleType(f"sessions_of_{name}")
        module.SessionStore = Visited  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return module.__name__

    return make


# The class name is part of the signature, so each class reads only its own rows.
@only_switches(pair for pair in PAIRS if set(pair) != {"db", "cached_db"})
def test_handover_to_and_from_a_custom_engine(
    switch: Switch, custom_engine: Callable[[str], str]
) -> None:
    browser = Browser()
    browser.set(a=1)
    engine = custom_engine(switch.new)
    switch.settings.SESSION_ENGINE = engine
    switch.settings.SESSION_HANDOVER_FROM = switch.old
    session = running_class()(ip="192.0.2.1", user_agent="curl", session_key=browser.cookie)
    assert (session["a"], session.ip, session.user_agent) == (1, "192.0.2.1", "curl")
    assert type(STORES[switch.new]()) is STORES[switch.new]
    browser.set(b=2)
    # The engine can read its sessions without the handover too.
    switch.settings.SESSION_HANDOVER_FROM = ""
    browser.set(c=3)
    data = browser.read()
    assert (data["a"], data["b"], data["c"]) == (1, 2, 3)
    # A switch from this engine to another.
    thirds = {"file", "cache", "signed_cookies"} - {switch.old, switch.new}
    third = min(thirds)
    switch.run(third, engine)
    data = browser.read()
    assert (data["a"], data["b"], data["c"]) == (1, 2, 3)


def test_module_that_imports_an_engine_hands_over(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("named")
    module.SessionStore = STORES[switch.new]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "named", module)
    browser = browser_of_moved_session(switch)
    switch.settings.SESSION_ENGINE = "named"
    assert STORES[switch.new](browser.cookie)["a"] == 1
    assert browser.read() == {"a": 1}


class TestDjangosMiddleware:
    """Django's middleware uses the engine's class too."""

    @pytest.fixture
    def browser(self, switch: Switch) -> Browser:
        browser = Browser(middleware=DjangosMiddleware)
        browser.set(a=1)
        switch.make()
        return browser

    def test_session_is_kept(self, browser: Browser) -> None:
        browser.visit(lambda session: None)
        assert browser.read(status=500) == {"a": 1}
        assert browser.read(lost=True) == {"a": 1}
        assert browser.read() == {"a": 1}
        browser.set(b=2)
        assert browser.read() == {"a": 1, "b": 2}

    def test_sign_out_ends_the_session_in_both_stores(
        self, switch: Switch, browser: Browser
    ) -> None:
        before = browser.copy()
        browser.visit(flush)
        assert browser.cookie is None
        assert before.read() == {}
        switch.back()
        if switch.old not in IN_COOKIES:
            assert before.read() == {}

    def test_sign_in_keeps_the_data_and_ends_the_old_key(self, browser: Browser) -> None:
        before = browser.copy()
        browser.visit(lambda session: (session.cycle_key(), session.update({"b": 2})))
        assert browser.read() == {"a": 1, "b": 2}
        assert before.read() == {}

    def test_switch_back_keeps_the_session(self, switch: Switch, browser: Browser) -> None:
        browser.set(b=2)
        browser.set(c=3)
        switch.back()
        assert browser.read() == {"a": 1, "b": 2, "c": 3}


class TestChannels:
    """The session middleware of Channels."""

    @pytest.mark.parametrize("kind", ["websocket", "http"])
    def test_session_is_read(self, switch: Switch, kind: str) -> None:
        browser = browser_of_moved_session(switch)
        assert visit(browser, kind) == {"a": 1}
        assert browser.read() == {"a": 1}

    @pytest.mark.parametrize("kind", ["websocket", "http"])
    def test_ended_session_opens_nothing(self, switch: Switch, kind: str) -> None:
        browser = browser_of_moved_session(switch)
        other = browser.copy()
        browser.visit(flush)
        assert visit(other, kind) == {}

    def test_change_is_kept(self, switch: Switch) -> None:
        browser = browser_of_moved_session(switch)
        assert visit(browser, "http", b=2) == {"a": 1, "b": 2}
        assert browser.read() == {"a": 1, "b": 2}


def visit(browser: Browser, kind: str, **values: Any) -> Any:
    """Set the values in a consumer of Channels, and return the session's data."""
    data: dict[str, Any] = {}
    first_messages = {
        "websocket": {"type": "websocket.accept"},
        "http": {"type": "http.response.start"},
    }

    async def consumer(scope: Any, receive: Any, send: Any) -> None:
        data.update(await scope["session"].aitems())
        for name, value in values.items():
            await scope["session"].aset(name, value)
        data.update(values)
        await send({**first_messages[kind], "status": 200, "headers": []})

    async def send(message: Any) -> None:
        for name, value in message["headers"]:
            if name == b"Set-Cookie":
                browser.receive(SimpleCookie(value.decode()))

    cookie = f"{settings.SESSION_COOKIE_NAME}={browser.cookie}"
    scope = {"type": kind, "headers": [(b"cookie", cookie.encode())]}
    async_to_sync(SessionMiddlewareStack(consumer))(scope, None, send)
    return data


def test_impossible_switch_raises_improperly_configured(settings: Settings) -> None:
    """It is raised when a session is opened; the system checks report it earlier."""
    settings.SESSION_ENGINE = f"{OUR_ENGINES}db"
    settings.SESSION_HANDOVER_FROM = "dbx"
    with pytest.raises(ImproperlyConfigured, match="Sessions cannot be moved to or from"):
        STORES["db"]()
    assert type(STORES["cache"]()) is STORES["cache"]
