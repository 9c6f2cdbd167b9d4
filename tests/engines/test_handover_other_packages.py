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


def running() -> Any:
    """Import the class like channels.sessions, allauth.usersessions and allauth.headless."""
    return import_module(settings.SESSION_ENGINE).SessionStore


def hands_over(engine: Any) -> bool:
    """Whether a session of that class, or its store, is one of two engines."""
    session = engine()
    return type(session) is not engine or type(session._store) is not type(session.make_store())


class TestOpening:
    @HALVES
    def test_what_only_the_old_store_has(self, switch: Switch, half: str) -> None:
        browser = browser_of_moved_session(switch)
        assert Request(running()(session_key=browser.cookie), half).data == {"a": 1}
        assert browser.read() == {"a": 1}

    def test_by_a_class_that_was_bound_before(self, switch: Switch) -> None:
        browser = browser_of_moved_session(switch)
        assert STORES[switch.new](browser.cookie)["a"] == 1

    @HALVES
    def test_and_changing_it(self, switch: Switch, half: str) -> None:
        browser = browser_of_moved_session(switch)
        session = Request(running()(browser.cookie), half)
        session.set(b=2).save()
        assert Browser(session.session_key).read() == {"a": 1, "b": 2}
        assert browser.read()["a"] == 1

    @only_switches(pair for pair in PAIRS if pair[1] != MONGODB)
    def test_it_is_of_the_classes_that_it_was_of(self, switch: Switch) -> None:
        switch.make()
        mirrored = SIGNED_COOKIES if switch.new == ENCRYPTED_COOKIES else switch.new
        djangos = import_module(f"{DJANGO_ENGINES}{mirrored}").SessionStore
        assert isinstance(running()(), running())
        assert isinstance(running()(), djangos)
        assert issubclass(type(running()()), STORES[switch.new])
        assert type(running()()) is session_store()
        # Part of the salt of Django's signatures.
        assert running()().key_salt == djangos().key_salt

    def test_afterwards_it_is_the_engines_own_again(self, switch: Switch) -> None:
        switch.make()
        assert hands_over(running())
        switch.run(switch.new, "")
        assert not hands_over(running())
        assert running() is STORES[switch.new] is session_store()


class TestEnding:
    """Ends sessions of other browsers by their keys, from a list."""

    @HALVES
    @pytest.mark.parametrize("how", ["delete", "flush"])
    def test_an_opened_one(self, switch: Switch, how: str, half: str) -> None:
        browser = browser_of_moved_session(switch)
        getattr(Request(running()(browser.cookie), half), how)()
        assert browser.copy().read() == {}
        switch.back()
        if switch.old not in IN_COOKIES:
            assert browser.read() == {}

    @HALVES
    def test_by_its_key(self, switch: Switch, half: str) -> None:
        """Like allauth.usersessions.models.UserSession.end."""
        browser = browser_of_moved_session(switch)
        Request(running()(), half).delete(browser.cookie)
        assert browser.copy().read() == {}
        switch.back()
        if switch.old not in IN_COOKIES:
            assert browser.read() == {}

    @FROM_SERVER
    @HALVES
    def test_what_may_be_ended_exists(self, switch: Switch, half: str) -> None:
        """Like allauth.usersessions.models.UserSession.purge before it deletes a row."""
        browser, ended = browser_of_moved_session(switch), Browser()
        store = Request(running()(), half)
        assert store.exists(browser.cookie)
        store.delete(browser.cookie)
        assert not store.exists(browser.cookie)
        assert not store.exists(ended.cookie)


class TestClassMethods:
    @FROM_SERVER
    def test_alive_in_one_or_the_other(self, switch: Switch) -> None:
        browser, waiting, ended = Browser(), Browser(), Browser()
        for visitor in (browser, waiting, ended):
            visitor.set(a=1)
        keys = [visitor.cookie for visitor in (waiting, ended)]
        switch.make()
        for _ in range(2):
            browser.read()
        ended.visit(flush)
        assert running().alive([browser.cookie, *keys]) == {browser.cookie, keys[0]}

    @BETWEEN_SERVERS
    @HALVES
    def test_the_others_are_about_the_new_store(self, switch: Switch, half: str) -> None:
        browser = browser_of_moved_session(switch)
        browser.read()
        store, alone = running(), switch.store(switch.new)
        assert list(map(key_of, store.walk())) == [browser.cookie]
        assert list(map(key_of, store.page().sessions)) == [browser.cookie]
        assert store.count() == alone.count()
        assert Request(store, half).clear_expired() == 0
        if hasattr(store, "get_model_class"):
            assert store.get_model_class() is alone.get_model_class()

    @BETWEEN_SERVERS
    def test_also_where_a_sites_own_asks_that_of_ours(
        self, switch: Switch, sites_own: Callable[[str], str]
    ) -> None:
        browser = Browser()
        browser.set(a=1)
        switch.settings.SESSION_ENGINE = sites_own(switch.new)
        switch.settings.SESSION_HANDOVER_FROM = switch.old
        assert running().alive([browser.cookie, "x" * 32]) == {browser.cookie}


def key_of(listed: Any) -> str:
    key: str = listed.key
    return key


class TestOthers:
    def test_the_old_engines_class_is_what_it_was(self, switch: Switch) -> None:
        switch.make()
        browser = Browser()
        browser.set(a=1)
        assert type(STORES[switch.old]()) is STORES[switch.old]
        if not switch.share_rows:
            assert dict(STORES[switch.old](browser.cookie).items()) == {}

    def test_nor_is_any_other_that_does_not_run(self, switch: Switch) -> None:
        switch.make()
        for store in (*STORES.values(), type("SessionStore", (running(),), {})):
            assert hands_over(store) == (store is running())


@pytest.fixture
def sites_own(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Makes an engine of a site, by a class of another name; it takes what django-user-sessions'
    does, whose middleware passes that by name.
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
                found: set[str] = super().alive(keys)
                return found

        module = ModuleType(f"sessions_of_{name}")
        module.SessionStore = Visited  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return module.__name__

    return make


# The class name is part of the signature, so each class reads only its own rows.
@only_switches(pair for pair in PAIRS if set(pair) != {"db", "cached_db"})
def test_an_engine_of_the_sites_own(switch: Switch, sites_own: Callable[[str], str]) -> None:
    browser = Browser()
    browser.set(a=1)
    engine = sites_own(switch.new)
    switch.settings.SESSION_ENGINE = engine
    switch.settings.SESSION_HANDOVER_FROM = switch.old
    session = running()(ip="192.0.2.1", user_agent="curl", session_key=browser.cookie)
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


def test_a_module_that_only_names_the_class(
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

    def test_nobody_is_signed_out(self, browser: Browser) -> None:
        browser.visit(lambda session: None)
        assert browser.read(status=500) == {"a": 1}
        assert browser.read(lost=True) == {"a": 1}
        assert browser.read() == {"a": 1}
        browser.set(b=2)
        assert browser.read() == {"a": 1, "b": 2}

    def test_but_who_signs_out(self, switch: Switch, browser: Browser) -> None:
        before = browser.copy()
        browser.visit(flush)
        assert browser.cookie is None
        assert before.read() == {}
        switch.back()
        if switch.old not in IN_COOKIES:
            assert before.read() == {}

    def test_nor_whoever_signs_in(self, browser: Browser) -> None:
        before = browser.copy()
        browser.visit(lambda session: (session.cycle_key(), session.update({"b": 2})))
        assert browser.read() == {"a": 1, "b": 2}
        assert before.read() == {}

    def test_and_back_again(self, switch: Switch, browser: Browser) -> None:
        browser.set(b=2)
        browser.set(c=3)
        switch.back()
        assert browser.read() == {"a": 1, "b": 2, "c": 3}


class TestChannels:
    """The session middleware of Channels."""

    @pytest.mark.parametrize("kind", ["websocket", "http"])
    def test_a_visitor_is_known(self, switch: Switch, kind: str) -> None:
        browser = browser_of_moved_session(switch)
        assert visit(browser, kind) == {"a": 1}
        assert browser.read() == {"a": 1}

    @pytest.mark.parametrize("kind", ["websocket", "http"])
    def test_one_that_ended_is_not(self, switch: Switch, kind: str) -> None:
        browser = browser_of_moved_session(switch)
        other = browser.copy()
        browser.visit(flush)
        assert visit(other, kind) == {}

    def test_what_it_changes_is_kept(self, switch: Switch) -> None:
        browser = browser_of_moved_session(switch)
        assert visit(browser, "http", b=2) == {"a": 1, "b": 2}
        assert browser.read() == {"a": 1, "b": 2}


def visit(browser: Browser, kind: str, **values: Any) -> Any:
    """Set the values in a consumer of Channels, and return the session's data."""
    found: dict[str, Any] = {}
    answer = {"websocket": {"type": "websocket.accept"}, "http": {"type": "http.response.start"}}

    async def consumer(scope: Any, receive: Any, send: Any) -> None:
        found.update(await scope["session"].aitems())
        for name, value in values.items():
            await scope["session"].aset(name, value)
        found.update(values)
        await send({**answer[kind], "status": 200, "headers": []})

    async def send(message: Any) -> None:
        for name, value in message["headers"]:
            if name == b"Set-Cookie":
                browser.receive(SimpleCookie(value.decode()))

    cookie = f"{settings.SESSION_COOKIE_NAME}={browser.cookie}"
    scope = {"type": kind, "headers": [(b"cookie", cookie.encode())]}
    async_to_sync(SessionMiddlewareStack(consumer))(scope, None, send)
    return found


def test_a_switch_that_cannot_be_is_an_error(settings: Settings) -> None:
    """It is raised when a session is opened; the system checks report it earlier."""
    settings.SESSION_ENGINE = f"{OUR_ENGINES}db"
    settings.SESSION_HANDOVER_FROM = "dbx"
    with pytest.raises(ImproperlyConfigured, match="Sessions cannot be moved to or from"):
        STORES["db"]()
    assert type(STORES["cache"]()) is STORES["cache"]
