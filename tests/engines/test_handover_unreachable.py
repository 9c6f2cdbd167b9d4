"""A handover while the old store is unreachable: sessions of the new store keep working."""

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

# The old engine is reached through a proxy, the new one is not.
INTO_SERVERS = [
    *(("cache", "db"), ("cache", "cached_db"), ("cache", "file")),
    *(("db", "cache"), ("db", "file"), ("cached_db", "cache"), ("cached_db", "file")),
]


@dataclass
class OldStore:
    proxy: Proxy
    server: tuple[str, int] | str

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """Close the connections, and new ones too."""
        self.proxy.turn_to(("127.0.0.1", free_port()))
        self.proxy.cut()
        yield
        self.proxy.turn_to(self.server)
        connection.close()


class Apart(Switch):
    def store(self, engine: str) -> Any:
        return handover_engine(engine, "handover" if engine == self.old else "").store

    def run(self, engine: str, previous: str) -> None:
        super().run(engine, previous)
        # The alias is for the old engine.
        self.settings.SESSION_CACHE_ALIAS = "handover" if engine == self.old else "sessions"
        self.settings.SESSION_HANDOVER_CACHE_ALIAS = (
            "handover" if previous == self.old else "sessions"
        )


@pytest.fixture(params=INTO_SERVERS, ids=" to ".join)
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    found: tuple[str, str] = request.param
    return found


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
    former_url = f"{redis_url}/2"
    with ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())
        if pair[0] == "cache":
            parts = urlsplit(redis_url)
            server: Any = (parts.hostname, parts.port)
            proxy = stack.enter_context(proxied(server))
            former_url = f"redis://127.0.0.1:{proxy.port}/2"
            stack.enter_context(database(sqlite_sessions_url))
        else:
            url = request.getfixturevalue("postgresql_sessions_url")
            stack.enter_context(database(url))
            found = connection.settings_dict
            server = f"{found['HOST'] or found['OPTIONS'].get('host')}/.s.PGSQL.5432"
            proxy = stack.enter_context(proxied(server))
            stack.enter_context(connected(url, HOST="127.0.0.1", PORT=str(proxy.port)))
        settings.CACHES = caches(f"{redis_url}/0") | {"handover": previous_cache(former_url)}
        cache_connections["handover"].clear()
        yield OldStore(proxy, server)


@pytest.fixture
def switch(pair: tuple[str, str], settings: Settings, old_store: OldStore) -> Apart:
    return Apart(*pair, settings)


@pytest.fixture
def browser(switch: Apart) -> Browser:
    """Return a browser whose session was moved to the new store."""
    browser = Browser()
    browser.set(a=1)
    switch.make()
    for _ in range(2):
        browser.read()
    return browser


def answered(browser: Browser, view: Callable[[Any], Any]) -> Any:
    found = browser.visit(view)
    assert browser.response.status_code == 200
    return found


def sign_in(session: Any) -> None:
    session.get("a")
    session.cycle_key()
    session["d"] = 4


def in_a_transaction(view: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def committed(session: Any) -> None:
        with transaction.atomic():
            view(session)

    return committed


def test_what_only_the_new_store_has_is_read_and_written(
    browser: Browser, old_store: OldStore
) -> None:
    with old_store.unreachable():
        assert answered(browser, lambda session: session["a"]) == 1
        answered(browser, lambda session: session.update({"b": 2}))
    assert browser.read() == {"a": 1, "b": 2}


def test_signed_in(browser: Browser, old_store: OldStore) -> None:
    before = browser.copy()
    with old_store.unreachable():
        answered(browser, sign_in)
        assert browser.cookie != before.cookie
        assert answered(browser, lambda session: dict(session.items())) == {"a": 1, "d": 4}
        assert before.copy().read() == {}
    assert before.read() == {}


@pytest.mark.parametrize("reads", [True, False])
def test_signed_out(browser: Browser, old_store: OldStore, reads: bool) -> None:
    before = browser.copy()
    with old_store.unreachable():
        answered(browser, lambda session: (reads and session.get("a"), session.flush()))
        assert browser.cookie is None
        assert before.copy().read() == {}
    assert before.read() == {}


def test_deleted_by_its_key(browser: Browser, old_store: OldStore) -> None:
    with old_store.unreachable():
        session_store()().delete(browser.cookie)
    assert browser.read() == {}


into_rows = pytest.mark.parametrize(
    "pair", [("cache", "db"), ("cache", "cached_db")], ids=" to ".join
)


@into_rows
@pytest.mark.parametrize("by_row", [True, False])
def test_nor_is_one_whose_row_was_deleted(switch: Apart, old_store: OldStore, by_row: bool) -> None:
    """The row was a copy. The original is in the unreachable store."""
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


@into_rows
@pytest.mark.parametrize("view", [sign_in, flush])
def test_in_a_transaction_too(
    browser: Browser, old_store: OldStore, view: Callable[[Any], Any]
) -> None:
    before = browser.copy()
    with old_store.unreachable():
        answered(browser, in_a_transaction(view))
    assert before.read() == {}
    assert browser.read() == ({} if view is flush else {"a": 1, "d": 4})


@pytest.mark.parametrize("view", [sign_in, flush])
@pytest.mark.parametrize("days", [None, 40])
def test_what_was_left_behind_is_not_opened_when_it_is_back(
    switch: Apart, old_store: OldStore, view: Callable[[Any], Any], days: int | None
) -> None:
    """The session was moved but not deleted from the old store. Then it ends."""
    browser, expiry = Browser(), days and days * 86400
    browser.visit(lambda session: (session.update({"a": 1}), session.set_expiry(expiry)))
    before = browser.copy()
    previous, key = switch.place(switch.old), before.cookie or ""
    left = switch.stored(switch.old, key)
    switch.make()
    browser.read()
    previous.insert(key, left.data, left.expires)
    with old_store.unreachable():
        answered(browser, view)
    assert before.copy().read() == {}
    # The tombstone lasts as long as the session can live in the old store.
    ends = switch.expiry(switch.new, key)
    seconds = max(site.SESSION_COOKIE_AGE, expiry or 0)
    assert abs(ends - timezone.now() - timedelta(seconds=seconds)) < timedelta(seconds=60)


def test_with_the_old_store_there_a_tombstone_stays_for_no_longer(
    switch: Apart, browser: Browser
) -> None:
    before = browser.copy()
    browser.visit(sign_in)
    ends = switch.expiry(switch.new, before.cookie)
    assert ends - timezone.now() < timedelta(seconds=TOMBSTONE_TTL + 1)


@pytest.mark.parametrize("view", [dict, sign_in, flush, lambda session: session.update({"b": 2})])
def test_what_may_be_in_the_old_store_only_is_a_503(
    switch: Apart, old_store: OldStore, view: Callable[[Any], Any]
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


INTO_COOKIES = pytest.mark.parametrize(
    "pair", [(old, "signed_cookies") for old in ("cache", "db", "cached_db")], ids=" to ".join
)


@INTO_COOKIES
class TestIntoCookies:
    """The old store keeps the session under its session key for late requests."""

    def test_the_session_goes_on(self, browser: Browser, old_store: OldStore) -> None:
        with old_store.unreachable():
            assert answered(browser, lambda session: session["a"]) == 1
            answered(browser, lambda session: session.update({"b": 2}))
        assert browser.read() == {"a": 1, "b": 2}

    def test_it_takes_a_new_key(self, switch: Apart, old_store: OldStore) -> None:
        browser = Browser()
        browser.set(a=1)
        before = browser.copy()
        switch.make()
        for _ in range(2):
            browser.read()
        with old_store.unreachable():
            answered(browser, sign_in)
            assert answered(browser, lambda session: dict(session.items())) == {"a": 1, "d": 4}
        assert "d" not in before.read()
        # The key that could not be ended then ends with the session.
        browser.visit(flush)
        assert before.copy().read() == {}

    def test_a_sign_out_that_the_old_store_cannot_hear_of_is_a_503(
        self, browser: Browser, old_store: OldStore
    ) -> None:
        with old_store.unreachable():
            browser.visit(flush)
            assert browser.response.status_code == 503
        assert browser.read() == {"a": 1}

    def test_but_not_for_who_has_a_session_of_the_new_engine(
        self, switch: Apart, old_store: OldStore
    ) -> None:
        switch.make()
        browser = Browser()
        browser.set(a=1)
        with old_store.unreachable():
            session_store()().delete(browser.cookie)
            answered(browser, sign_in)
            answered(browser, flush)
        assert browser.cookie is None
