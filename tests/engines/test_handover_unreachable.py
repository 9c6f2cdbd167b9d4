"""During a handover, sessions of the new store keep working while the old one is unreachable."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings as site
from django.contrib.sessions.models import Session
from django.core.cache import caches as cache_connections
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import DjangoDbBlocker, Settings

from cookieproj.engines.caches.generic import TOMBSTONE_TTL
from cookieproj.engines.handover import session_store
from cookieproj.engines.handover.movable_engines import handover_engine
from cookieproj.engines.handover.move_all import move
from cookieproj.settings.caches import caches, previous_cache
from tests.conftest import connected
from tests.proxy import Proxy, proxied
from tests.servers import free_port

from .conftest import database
from .handover_switch import Browser, Switch, flush

# Only the old engine connects through a proxy.
TO_SERVER = [
    *(("cache", "db"), ("cache", "cached_db"), ("cache", "file")),
    *(("db", "cache"), ("db", "file"), ("cached_db", "cache"), ("cached_db", "file")),
]


@dataclass
class OldStore:
    proxy: Proxy
    server: tuple[str, int] | str

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """Close all connections, and refuse new ones."""
        self.proxy.turn_to(("127.0.0.1", free_port()))
        self.proxy.cut()
        yield
        self.proxy.turn_to(self.server)
        connection.close()


class TwoServerSwitch(Switch):
    """A switch whose old engine has a cache alias of its own."""

    def store(self, engine: str) -> Any:
        return handover_engine(engine, "handover" if engine == self.old else "").store

    def run(self, engine: str, previous: str) -> None:
        super().run(engine, previous)
        # The alias "handover" is the old engine's, in both directions.
        self.settings.SESSION_CACHE_ALIAS = "handover" if engine == self.old else "sessions"
        self.settings.SESSION_HANDOVER_CACHE_ALIAS = (
            "handover" if previous == self.old else "sessions"
        )


@pytest.fixture(params=TO_SERVER, ids=" to ".join)
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    old_and_new: tuple[str, str] = request.param
    return old_and_new


@pytest.fixture
def old_store(
    request: pytest.FixtureRequest,
    pair: tuple[str, str],
    settings: Settings,
    empty_stores: None,
    redis_url: str,
    sqlite_sessions_url: str,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[OldStore]:
    previous_url = f"{redis_url}/2"
    with ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())
        if pair[0] == "cache":
            parts = urlsplit(redis_url)
            server: Any = (parts.hostname, parts.port)
            proxy = stack.enter_context(proxied(server))
            previous_url = f"redis://127.0.0.1:{proxy.port}/2"
            stack.enter_context(database(sqlite_sessions_url))
        else:
            url = request.getfixturevalue("postgresql_sessions_url")
            stack.enter_context(database(url))
            database_settings = connection.settings_dict
            folder = database_settings["HOST"] or database_settings["OPTIONS"].get("host")
            server = f"{folder}/.s.PGSQL.5432"
            proxy = stack.enter_context(proxied(server))
            stack.enter_context(connected(url, HOST="127.0.0.1", PORT=str(proxy.port)))
        settings.CACHES = caches(f"{redis_url}/0") | {"handover": previous_cache(previous_url)}
        cache_connections["handover"].clear()
        yield OldStore(proxy, server)


@pytest.fixture
def switch(pair: tuple[str, str], settings: Settings, old_store: OldStore) -> TwoServerSwitch:
    return TwoServerSwitch(*pair, settings)


@pytest.fixture
def browser(switch: TwoServerSwitch) -> Browser:
    """Return a browser whose session was moved to the new store."""
    browser = Browser()
    browser.set(a=1)
    switch.make()
    for _ in range(2):
        browser.read()
    return browser


def visit_ok(browser: Browser, view: Callable[[Any], Any]) -> Any:
    result = browser.visit(view)
    assert browser.response.status_code == 200
    return result


def sign_in(session: Any) -> None:
    session.get("a")
    session.cycle_key()
    session["d"] = 4


def in_transaction(view: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def atomic_view(session: Any) -> None:
        with transaction.atomic():
            view(session)

    return atomic_view


def test_moved_session_is_read_and_written(browser: Browser, old_store: OldStore) -> None:
    with old_store.unreachable():
        assert visit_ok(browser, lambda session: session["a"]) == 1
        visit_ok(browser, lambda session: session.update({"b": 2}))
    assert browser.read() == {"a": 1, "b": 2}


def test_sign_in_gives_new_key(browser: Browser, old_store: OldStore) -> None:
    before = browser.copy()
    with old_store.unreachable():
        visit_ok(browser, sign_in)
        assert browser.cookie != before.cookie
        assert visit_ok(browser, lambda session: dict(session.items())) == {"a": 1, "d": 4}
        assert before.copy().read() == {}
    assert before.read() == {}


@pytest.mark.parametrize("reads", [True, False])
def test_sign_out_ends_session(browser: Browser, old_store: OldStore, reads: bool) -> None:
    before = browser.copy()
    with old_store.unreachable():
        visit_ok(browser, lambda session: (reads and session.get("a"), session.flush()))
        assert browser.cookie is None
        assert before.copy().read() == {}
    assert before.read() == {}


def test_delete_by_key_ends_session(browser: Browser, old_store: OldStore) -> None:
    with old_store.unreachable():
        session_store()().delete(browser.cookie)
    assert browser.read() == {}


to_database = pytest.mark.parametrize(
    "pair", [("cache", "db"), ("cache", "cached_db")], ids=" to ".join
)


@to_database
@pytest.mark.parametrize("by_row", [True, False])
def test_deleted_row_of_copy_ends_session(
    switch: TwoServerSwitch, old_store: OldStore, by_row: bool
) -> None:
    """The row is a copy. The original is in the unreachable store."""
    browser = Browser()
    browser.set(a=1)
    for _ in move(
        handover_engine("cache", "handover"), handover_engine(switch.new), 100, keep=True
    ):
        pass
    switch.make()
    rows = Session.objects.filter(session_key=browser.cookie)
    with old_store.unreachable():
        _ = rows.get().delete() if by_row else rows.delete()
        assert browser.copy().read() == {}
    assert switch.store("cache")(browser.cookie).load() == {"a": 1}
    assert browser.read() == {}


@to_database
@pytest.mark.parametrize("view", [sign_in, flush])
def test_sign_in_and_flush_in_transaction_end_old_key(
    browser: Browser, old_store: OldStore, view: Callable[[Any], Any]
) -> None:
    before = browser.copy()
    with old_store.unreachable():
        visit_ok(browser, in_transaction(view))
    assert before.read() == {}
    assert browser.read() == ({} if view is flush else {"a": 1, "d": 4})


@pytest.mark.parametrize("view", [sign_in, flush])
@pytest.mark.parametrize("days", [None, 40])
def test_ended_session_stays_ended_when_old_store_is_reachable_again(
    switch: TwoServerSwitch, old_store: OldStore, view: Callable[[Any], Any], days: int | None
) -> None:
    """The session was moved but not deleted from the old store before it ends."""
    browser, expiry = Browser(), days and days * 86400
    browser.visit(lambda session: (session.update({"a": 1}), session.set_expiry(expiry)))
    before = browser.copy()
    previous, key = switch.place(switch.old), before.cookie or ""
    original = switch.stored(switch.old, key)
    switch.make()
    browser.read()
    previous.insert(key, original.data, original.expires)
    with old_store.unreachable():
        visit_ok(browser, view)
    assert before.copy().read() == {}
    # The tombstone lasts as long as the session can live in the old store.
    ends = switch.expiry(switch.new, key)
    seconds = max(site.SESSION_COOKIE_AGE, expiry or 0)
    assert abs(ends - timezone.now() - timedelta(seconds=seconds)) < timedelta(seconds=60)


def test_tombstone_is_short_lived_while_old_store_is_reachable(
    switch: TwoServerSwitch, browser: Browser
) -> None:
    before = browser.copy()
    browser.visit(sign_in)
    ends = switch.expiry(switch.new, before.cookie)
    assert ends - timezone.now() < timedelta(seconds=TOMBSTONE_TTL + 1)


@pytest.mark.parametrize("view", [dict, sign_in, flush, lambda session: session.update({"b": 2})])
def test_request_gets_503_if_session_may_be_in_old_store_only(
    switch: TwoServerSwitch, old_store: OldStore, view: Callable[[Any], Any]
) -> None:
    waiting = Browser()
    waiting.set(a=1)
    cookie = waiting.cookie
    switch.make()
    if view is flush:
        view = sign_out
    with old_store.unreachable():
        waiting.visit(view)
        assert waiting.response.status_code == 503
        assert waiting.cookie == cookie
    assert waiting.read() == {"a": 1}


def sign_out(session: Any) -> None:
    session.get("a")
    session.flush()


to_cookies = pytest.mark.parametrize(
    "pair", [(old, "signed_cookies") for old in ("cache", "db", "cached_db")], ids=" to ".join
)


@to_cookies
class TestServerToCookie:
    """The old store keeps the session under its session key for late requests."""

    def test_session_is_read_and_written(self, browser: Browser, old_store: OldStore) -> None:
        with old_store.unreachable():
            assert visit_ok(browser, lambda session: session["a"]) == 1
            visit_ok(browser, lambda session: session.update({"b": 2}))
        assert browser.read() == {"a": 1, "b": 2}

    def test_sign_in_gives_new_key(self, switch: TwoServerSwitch, old_store: OldStore) -> None:
        browser = Browser()
        browser.set(a=1)
        before = browser.copy()
        switch.make()
        for _ in range(2):
            browser.read()
        with old_store.unreachable():
            visit_ok(browser, sign_in)
            assert visit_ok(browser, lambda session: dict(session.items())) == {"a": 1, "d": 4}
        assert "d" not in before.read()
        # Signing out ends the old key, too, which the sign-in could not end.
        browser.visit(flush)
        assert before.copy().read() == {}

    def test_sign_out_gets_503_if_old_store_may_have_session(
        self, browser: Browser, old_store: OldStore
    ) -> None:
        with old_store.unreachable():
            browser.visit(flush)
            assert browser.response.status_code == 503
        assert browser.read() == {"a": 1}

    def test_session_of_new_engine_signs_in_and_out(
        self, switch: TwoServerSwitch, old_store: OldStore
    ) -> None:
        switch.make()
        browser = Browser()
        browser.set(a=1)
        with old_store.unreachable():
            session_store()().delete(browser.cookie)
            visit_ok(browser, sign_in)
            visit_ok(browser, flush)
        assert browser.cookie is None
