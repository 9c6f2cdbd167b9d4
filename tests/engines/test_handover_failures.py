"""A handover with failures, rollbacks, oversized cookies and interrupted switches."""

import asyncio
import secrets
import sys
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.core.cache import caches as cache_connections
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from cookieproj.engines import cached_row_store
from cookieproj.engines.caches.redis import DjangoRedisStore
from cookieproj.engines.file import SessionStore as FileStore
from cookieproj.engines.handover import previous, session_store
from cookieproj.engines.handover.cookie_to_server import key_from_cookie
from cookieproj.engines.handover.movable_engines import handover_engine
from cookieproj.engines.handover.move_all import Outcome, move
from cookieproj.settings.caches import caches
from tests.families import IN_COOKIES

from .handover_switch import (
    PAIRS,
    SERVER_PAIRS,
    Browser,
    Switch,
    browser_of_moved_session,
    flush,
    meanwhile,
    only_switches,
    raise_unreachable,
    unreachable,
)

INTO_COOKIES = only_switches(pair for pair in PAIRS if pair[1] in IN_COOKIES)
OUT_OF_COOKIES = only_switches(pair for pair in PAIRS if pair[0] in IN_COOKIES)
INTO_ROWS = only_switches(
    (old, new)
    for old, new in PAIRS
    if new in {"db", "cached_db"} and old in {"cache", "file", "signed_cookies"}
)


def move_in_batches(switch: Switch, **how: Any) -> dict[Outcome, int]:
    old, new = (
        handover_engine(switch.old),
        handover_engine(switch.new),
    )
    counted: dict[Outcome, int] = {}
    for outcomes in move(old, new, 100, **how):
        counted |= outcomes
    return counted


class RollsBackError(Exception):
    pass


def in_a_transaction(view: Any) -> Any:
    """Like ATOMIC_REQUESTS with a view that fails."""

    def rolled_back(session: Any) -> None:
        try:
            with transaction.atomic():
                view(session)
                raise RollsBackError
        except RollsBackError:
            pass

    return rolled_back


@INTO_ROWS
@pytest.mark.parametrize("status", [200, 404, 500])
def test_what_is_rolled_back_was_not_moved(switch: Switch, status: int) -> None:
    browser = browser_of_moved_session(switch)
    cookie = browser.cookie
    browser.visit(in_a_transaction(lambda session: session.get("a")), status=status)
    if switch.keeps_the_key:
        assert switch.store(switch.new)(cookie).load() == {}
    assert browser.read() == {"a": 1}
    browser.set(b=2)
    assert browser.read() == {"a": 1, "b": 2}


@INTO_ROWS
def test_until_a_commit_the_session_is_where_it_was(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    cookie = browser.cookie

    def view(session: Any) -> None:
        with transaction.atomic():
            assert session["a"] == 1
            assert switch.store(switch.old)(cookie).load() == {"a": 1}

    browser.visit(view)
    if switch.keeps_the_key:
        assert switch.store(switch.old)(cookie).load() == {}
    assert browser.read() == {"a": 1}


@INTO_COOKIES
def test_a_change_deep_in_the_first_request_is_one(switch: Switch) -> None:
    browser = Browser()
    browser.set(cart=[1])
    switch.make()

    def buy(session: Any) -> None:
        session["cart"].append(2)
        session.modified = True

    browser.visit(buy)
    assert browser.read() == {"cart": [1, 2]}
    assert browser.read() == {"cart": [1, 2]}


@only_switches((old, new) for old, new in SERVER_PAIRS if new in {"db", "file"} and old != "cache")
@pytest.mark.parametrize("finish", [True, False])
def test_a_copy_that_has_expired_is_in_nobodys_way(switch: Switch, finish: bool) -> None:
    browser = Browser()
    browser.visit(lambda session: (session.update({"a": 1}), session.set_expiry(100)))
    move_in_batches(switch, keep=True)
    browser.visit(lambda session: session.set_expiry(3600))
    with time_machine.travel(timezone.now() + timedelta(seconds=200)):
        switch.make()
        if finish:
            assert move_in_batches(switch) == {Outcome.MOVED: 1}
        assert browser.read()["a"] == 1


@only_switches(SERVER_PAIRS)
def test_a_copy_that_was_used_is_a_session(switch: Switch) -> None:
    """The new engine ran without the handover and changed the copy: it counts, not the original."""
    browser = Browser()
    browser.set(a="older")
    move_in_batches(switch, keep=True)
    switch.run(switch.new, "")
    browser.set(a="newer")
    assert move_in_batches(switch) == {Outcome.ALREADY_IN_NEW: 1}
    assert browser.read()["a"] == "newer"
    # The copy mark is removed when the session is moved on.
    switch.run("signed_cookies", switch.new)
    assert browser.read() == {"a": "newer"}


@only_switches(SERVER_PAIRS)
def test_with_the_old_store_away_a_new_key_loses_nothing(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    browser.read()

    before = browser.copy()
    with unreachable(switch, "old", "delete"):
        browser.visit(lambda session: session.cycle_key())
    assert browser.read() == {"a": 1}
    assert before.read() == {}


@only_switches(SERVER_PAIRS)
def test_nor_does_a_store_that_fails_to_let_go(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)

    with unreachable(switch, "old", "compare_and_delete"):
        assert browser.read() == {"a": 1}
        browser.set(b=2)
    assert browser.read() == {"a": 1, "b": 2}
    # ``movesessions`` deletes what was left behind.
    assert move_in_batches(switch) == {Outcome.ALREADY_IN_NEW: 1}
    assert switch.store(switch.old)(browser.cookie).load() == {}
    assert browser.read() == {"a": 1, "b": 2}


@INTO_COOKIES
def test_a_sign_out_ends_what_a_thief_has_kept_alive(switch: Switch) -> None:
    browser = Browser()
    browser.visit(lambda session: (session.update({"a": 1}), session.set_expiry(100)))
    key = browser.cookie
    switch.make()
    browser.read()
    browser.read()
    now = timezone.now()
    for seconds in (40, 80, 120, 160):
        with time_machine.travel(now + timedelta(seconds=seconds)):
            browser.set(number=seconds)
            Browser(key).set(x=1)
    with time_machine.travel(now + timedelta(seconds=170)):
        browser.visit(flush)
        assert Browser(key).read() == {}


@INTO_COOKIES
@pytest.mark.parametrize("end", ["cycle_key", "flush"])
def test_what_was_emptied_unread_ends_under_its_old_key(switch: Switch, end: str) -> None:
    browser = browser_of_moved_session(switch)
    before = browser.copy()
    browser.visit(
        lambda session: (session.clear(), getattr(session, end)(), session.update({"b": 2}))
    )
    assert before.read() == {}
    assert browser.read() == {"b": 2}


def gone_back_unsettled(switch: Switch) -> tuple[Browser, Browser]:
    """Return a browser that has not yet sent its new cookie, and a copy that has the old key."""
    browser = browser_of_moved_session(switch)
    other = browser.copy()
    browser.read()
    switch.back()
    return browser, other


@INTO_COOKIES
def test_going_back_before_it_has_left(switch: Switch) -> None:
    """Until the browser has sent its new cookie, the old store has the session."""
    browser, other = gone_back_unsettled(switch)
    other.set(b=2)
    assert browser.read() == {"a": 1, "b": 2}
    thief = browser.copy()
    other.visit(flush)
    assert thief.read() == {}


@INTO_COOKIES
def test_nor_does_an_unsettled_cookie_open_what_has_ended(switch: Switch) -> None:
    browser, other = gone_back_unsettled(switch)
    other.visit(flush)
    assert browser.read() == {}


@INTO_COOKIES
def test_going_back_after_it_has_left_the_old_key_is_done(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    key = browser.cookie
    browser.read()
    browser.read()
    switch.back()
    assert browser.read() == {"a": 1}
    assert Browser(key).read() == {}


@INTO_COOKIES
def test_on_to_a_third_engine_before_it_has_left(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    browser.read()
    third = "file" if switch.old != "file" else "db"
    switch.run(third, switch.new)
    assert browser.read() == {"a": 1}


@OUT_OF_COOKIES
def test_of_two_exchanges_at_once_one_session_is_left(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    other, cookie = browser.copy(), browser.cookie
    store = switch.store(switch.new)
    with meanwhile(switch, ("new", "insert", "after"), other.read):
        browser.read()
    assert browser.cookie == other.cookie
    # The session, and the mark of the exchanged cookie, which opens nothing.
    assert {listed.key for listed in store.walk()} == {
        browser.cookie,
        key_from_cookie(cookie or "", switch.settings.SECRET_KEY),
    }
    assert Browser(key_from_cookie(cookie or "", switch.settings.SECRET_KEY)).read() == {}


@INTO_COOKIES
def test_too_large_for_a_cookie_and_signed_in(switch: Switch) -> None:
    browser = Browser()
    browser.set(large=secrets.token_hex(4000))
    before = browser.copy()
    switch.make()
    browser.visit(lambda session: (session.get("a"), session.cycle_key(), session.update({"u": 1})))
    data = browser.read()
    assert data["u"] == 1
    assert "large" in data
    assert before.read() == {}


@only_switches([("cache", "signed_cookies")])
def test_what_was_pickled_and_fits_no_cookie_stays(
    switch: Switch, settings: Settings, memcached_url: str
) -> None:
    settings.CACHES = caches(memcached_url)
    cache_connections["sessions"].clear()
    browser, day = Browser(), date(2026, 1, 1)
    browser.set(a=1, day=day)
    key = browser.cookie
    switch.make()
    browser.set(b=2)
    assert browser.read() == {"a": 1, "day": day, "b": 2}
    assert browser.cookie == key
    browser.visit(lambda session: session.pop("day"))
    assert browser.read() == {"a": 1, "b": 2}
    assert browser.cookie != key


@only_switches([("cache", "db"), ("cache", "file"), ("cache", "cached_db")])
def test_nor_does_what_was_pickled_leave_for_another_server(
    switch: Switch, settings: Settings, memcached_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CACHES = caches(memcached_url)
    cache_connections["sessions"].clear()
    browser, day = Browser(), date(2026, 1, 1)
    browser.set(a=1, day=day)
    key = browser.cookie
    switch.make()
    assert browser.read() == {}
    assert "A session cannot be kept in" in caplog.text
    assert str(key) not in caplog.text
    assert switch.store("cache")(key)["day"] == day


@only_switches(SERVER_PAIRS)
def test_a_mark_that_cannot_be_left_costs_nobody_a_session(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    browser.read()
    before = browser.copy()
    with unreachable(switch, "new", "compare_and_swap"):
        browser.visit(lambda session: session.cycle_key())
    assert browser.cookie != before.cookie
    assert browser.read() == {"a": 1}


@only_switches(SERVER_PAIRS)
def test_exists_in_one_or_the_other(switch: Switch) -> None:
    browser, waiting, ended = Browser(), Browser(), Browser()
    for visitor in (browser, waiting, ended):
        visitor.set(a=1)
    keys = [visitor.cookie for visitor in (browser, waiting, ended)]
    switch.make()
    browser.read()
    ended.visit(flush)
    exists = [session_store()().exists(key or "") for key in (*keys, "x" * 32)]
    assert exists == [True, True, False, False]
    store: Any = session_store()
    assert store.alive(keys) == set(keys[:2])


@OUT_OF_COOKIES
def test_the_session_key_first_in_an_async_view(switch: Switch) -> None:
    """Before it is read, the key is the cookie. With None, callers would create a session."""
    browser = browser_of_moved_session(switch)
    cookie = browser.cookie

    async def view(session: Any) -> Any:
        unread = session.session_key
        data = await session.aget("a")
        return unread, data, session.session_key

    def visited(session: Any) -> Any:
        return asyncio.run(view(session))

    unread, data, key = browser.visit(visited)
    assert (unread, data) == (cookie, 1)
    assert browser.cookie == key


@pytest.mark.parametrize("switch", [("db", "cached_db")], indirect=True, ids=" to ".join)
def test_copies_of_an_earlier_time_open_nothing(switch: Switch) -> None:
    switch.run("cached_db", "")
    browser, ended = Browser(), Browser()
    browser.set(a=1)
    ended.set(a=1)
    before = ended.copy()
    switch.before()
    browser.set(b=2)
    ended.visit(flush)
    switch.make()
    assert browser.read() == {"a": 1, "b": 2}
    assert before.read() == {}


@pytest.mark.parametrize("switch", [("cached_db", "db")], indirect=True, ids=" to ".join)
def test_copies_that_an_outage_has_left_are_forgotten_after_it(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)

    with mock.patch.object(DjangoRedisStore, "write_tombstone", raise_unreachable):
        browser.set(b=2)
    assert cached_row_store.pending_invalidations
    browser.set(c=3)
    assert not cached_row_store.pending_invalidations


@only_switches(SERVER_PAIRS)
def test_an_ended_session_is_none_in_a_third_engine(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    before = browser.copy()
    browser.visit(flush)
    switch.run("signed_cookies", switch.new)
    assert before.read() == {}


@pytest.fixture
def top_level_engine(monkeypatch: pytest.MonkeyPatch) -> str:
    module = ModuleType("mysessions")
    module.SessionStore = type("SessionStore", (FileStore,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mysessions", module)
    return "mysessions"


def test_an_engine_of_the_sites_own(
    settings: Settings, top_level_engine: str, tmp_path: Path
) -> None:
    settings.SESSION_ENGINE = "cookieproj.engines.db"
    settings.SESSION_FILE_PATH = str(tmp_path)
    settings.SESSION_HANDOVER_FROM = top_level_engine
    handover_engine = previous()
    assert handover_engine is not None
    assert handover_engine.name == top_level_engine
    assert session_store().__name__ == "SessionStore"
