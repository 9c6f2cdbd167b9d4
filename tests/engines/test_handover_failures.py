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

TO_COOKIES = only_switches(pair for pair in PAIRS if pair[1] in IN_COOKIES)
FROM_COOKIES = only_switches(pair for pair in PAIRS if pair[0] in IN_COOKIES)
TO_ROWS = only_switches(
    (old, new)
    for old, new in PAIRS
    if new in {"db", "cached_db"} and old in {"cache", "file", "signed_cookies"}
)


def move_in_batches(switch: Switch, **options: Any) -> dict[Outcome, int]:
    old, new = (
        handover_engine(switch.old),
        handover_engine(switch.new),
    )
    counts: dict[Outcome, int] = {}
    for outcomes in move(old, new, 100, **options):
        counts |= outcomes
    return counts


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


@TO_ROWS
@pytest.mark.parametrize("status", [200, 404, 500])
def test_rolled_back_move_keeps_the_old_session(switch: Switch, status: int) -> None:
    browser = browser_of_moved_session(switch)
    cookie = browser.cookie
    browser.visit(in_a_transaction(lambda session: session.get("a")), status=status)
    if switch.keeps_the_key:
        assert switch.store(switch.new)(cookie).load() == {}
    assert browser.read() == {"a": 1}
    browser.set(b=2)
    assert browser.read() == {"a": 1, "b": 2}


@TO_ROWS
def test_old_session_is_kept_until_the_commit(switch: Switch) -> None:
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


@TO_COOKIES
def test_change_inside_a_value_in_the_first_request_is_kept(switch: Switch) -> None:
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
@pytest.mark.parametrize("by_movesessions", [True, False])
def test_expired_copy_does_not_prevent_the_move(switch: Switch, by_movesessions: bool) -> None:
    browser = Browser()
    browser.visit(lambda session: (session.update({"a": 1}), session.set_expiry(100)))
    move_in_batches(switch, keep=True)
    browser.visit(lambda session: session.set_expiry(3600))
    with time_machine.travel(timezone.now() + timedelta(seconds=200)):
        switch.make()
        if by_movesessions:
            assert move_in_batches(switch) == {Outcome.MOVED: 1}
        assert browser.read()["a"] == 1


@only_switches(SERVER_PAIRS)
def test_changed_copy_is_a_session(switch: Switch) -> None:
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
def test_cycle_key_with_an_unreachable_old_store_keeps_the_session(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    browser.read()

    before = browser.copy()
    with unreachable(switch, "old", "delete"):
        browser.visit(lambda session: session.cycle_key())
    assert browser.read() == {"a": 1}
    assert before.read() == {}


@only_switches(SERVER_PAIRS)
def test_failed_deletion_from_the_old_store_keeps_the_session(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)

    with unreachable(switch, "old", "compare_and_delete"):
        assert browser.read() == {"a": 1}
        browser.set(b=2)
    assert browser.read() == {"a": 1, "b": 2}
    # ``movesessions`` deletes the entry that the old store still has.
    assert move_in_batches(switch) == {Outcome.ALREADY_IN_NEW: 1}
    assert switch.store(switch.old)(browser.cookie).load() == {}
    assert browser.read() == {"a": 1, "b": 2}


@TO_COOKIES
def test_sign_out_ends_an_old_session_that_a_thief_has_renewed(switch: Switch) -> None:
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


@TO_COOKIES
@pytest.mark.parametrize("end", ["cycle_key", "flush"])
def test_session_cleared_before_reading_ends_under_its_old_key(switch: Switch, end: str) -> None:
    browser = browser_of_moved_session(switch)
    before = browser.copy()
    browser.visit(
        lambda session: (session.clear(), getattr(session, end)(), session.update({"b": 2}))
    )
    assert before.read() == {}
    assert browser.read() == {"b": 2}


def switch_back_before_confirmation(switch: Switch) -> tuple[Browser, Browser]:
    """Return a browser that has not yet sent its new cookie, and a copy that has the old key."""
    browser = browser_of_moved_session(switch)
    other = browser.copy()
    browser.read()
    switch.back()
    return browser, other


@TO_COOKIES
def test_switch_back_before_confirmation_opens_the_old_session(switch: Switch) -> None:
    """Until the browser has sent its new cookie, the old store has the session."""
    browser, other = switch_back_before_confirmation(switch)
    other.set(b=2)
    assert browser.read() == {"a": 1, "b": 2}
    thief = browser.copy()
    other.visit(flush)
    assert thief.read() == {}


@TO_COOKIES
def test_unconfirmed_cookie_does_not_open_an_ended_session(switch: Switch) -> None:
    browser, other = switch_back_before_confirmation(switch)
    other.visit(flush)
    assert browser.read() == {}


@TO_COOKIES
def test_old_key_opens_nothing_after_confirmation_and_switch_back(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    key = browser.cookie
    browser.read()
    browser.read()
    switch.back()
    assert browser.read() == {"a": 1}
    assert Browser(key).read() == {}


@TO_COOKIES
def test_unconfirmed_cookie_opens_in_a_third_engine(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    browser.read()
    third = "file" if switch.old != "file" else "db"
    switch.run(third, switch.new)
    assert browser.read() == {"a": 1}


@FROM_COOKIES
def test_concurrent_exchanges_leave_one_session(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    other, cookie = browser.copy(), browser.cookie
    store = switch.store(switch.new)
    with meanwhile(switch, ("new", "insert", "after"), other.read):
        browser.read()
    assert browser.cookie == other.cookie
    # The session, and the entry for the exchanged cookie, which opens nothing.
    assert {listed.key for listed in store.walk()} == {
        browser.cookie,
        key_from_cookie(cookie or "", switch.settings.SECRET_KEY),
    }
    assert Browser(key_from_cookie(cookie or "", switch.settings.SECRET_KEY)).read() == {}


@TO_COOKIES
def test_sign_in_with_a_session_too_large_for_a_cookie(switch: Switch) -> None:
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
def test_session_that_a_cookie_cannot_serialize_stays_in_the_old_store(
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
def test_session_that_the_new_store_cannot_serialize_stays_in_the_old_one(
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
def test_cycle_key_keeps_the_session_if_its_tombstone_fails(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    browser.read()
    before = browser.copy()
    with unreachable(switch, "new", "compare_and_swap"):
        browser.visit(lambda session: session.cycle_key())
    assert browser.cookie != before.cookie
    assert browser.read() == {"a": 1}


@only_switches(SERVER_PAIRS)
def test_exists_and_alive_look_in_both_stores(switch: Switch) -> None:
    browser, unmoved, ended = Browser(), Browser(), Browser()
    for visitor in (browser, unmoved, ended):
        visitor.set(a=1)
    keys = [visitor.cookie for visitor in (browser, unmoved, ended)]
    switch.make()
    browser.read()
    ended.visit(flush)
    exists = [session_store()().exists(key or "") for key in (*keys, "x" * 32)]
    assert exists == [True, True, False, False]
    store: Any = session_store()
    assert store.alive(keys) == set(keys[:2])


@FROM_COOKIES
def test_session_key_before_reading_in_an_async_view_is_the_cookie(switch: Switch) -> None:
    """If it were None, callers would create a session."""
    browser = browser_of_moved_session(switch)
    cookie = browser.cookie

    async def view(session: Any) -> Any:
        key_before = session.session_key
        data = await session.aget("a")
        return key_before, data, session.session_key

    def visited(session: Any) -> Any:
        return asyncio.run(view(session))

    key_before, data, key = browser.visit(visited)
    assert (key_before, data) == (cookie, 1)
    assert browser.cookie == key


@pytest.mark.parametrize("switch", [("db", "cached_db")], indirect=True, ids=" to ".join)
def test_outdated_cached_copies_open_nothing(switch: Switch) -> None:
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
def test_pending_invalidations_are_flushed_after_an_outage(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)

    with mock.patch.object(DjangoRedisStore, "write_tombstone", raise_unreachable):
        browser.set(b=2)
    assert cached_row_store.pending_invalidations
    browser.set(c=3)
    assert not cached_row_store.pending_invalidations


@only_switches(SERVER_PAIRS)
def test_ended_session_opens_nothing_in_a_third_engine(switch: Switch) -> None:
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


def test_previous_engine_may_be_a_top_level_module(
    settings: Settings, top_level_engine: str, tmp_path: Path
) -> None:
    settings.SESSION_ENGINE = "cookieproj.engines.db"
    settings.SESSION_FILE_PATH = str(tmp_path)
    settings.SESSION_HANDOVER_FROM = top_level_engine
    previous_engine = previous()
    assert previous_engine is not None
    assert previous_engine.name == top_level_engine
    assert session_store().__name__ == "SessionStore"
