"""A session changes, or ends, in the old store while it is moved to the new one."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from django.contrib.sessions.exceptions import SessionInterrupted
from django.core.cache import caches as cache_connections
from pytest_django import Settings

from cookieproj.engines.handover.movable_engines import handover_engine
from cookieproj.engines.handover.move_one import insert
from cookieproj.engines.handover_mixin import store_of
from cookieproj.settings.caches import caches, previous_cache

from .handover_switch import (
    SERVER_PAIRS,
    Browser,
    Switch,
    browser_of_moved_session,
    flush,
    meanwhile,
    only_switches,
)
from .test_handover_failures import move_in_batches
from .test_handover_races import interrupted, sign_in, write

DELETE_FROM_OLD = ("old", "compare_and_delete", "before")

Move = Callable[[Switch, Browser], object]


def move_by_request(switch: Switch, browser: Browser) -> object:
    return browser.copy().read()


def move_by_movesessions(switch: Switch, browser: Browser) -> object:
    return move_in_batches(switch)


@pytest.fixture(params=[move_by_request, move_by_movesessions])
def move(request: pytest.FixtureRequest) -> Move:
    chosen: Move = request.param
    return chosen


class OldProcess:
    """A process of the old engine, without a handover or with one from the new engine."""

    def __init__(self, switch: Switch, browser: Browser, knows_of_both: bool) -> None:
        self.switch = switch
        self.browser = browser.copy()
        self.knows_of_both = knows_of_both

    def visit(self, view: Callable[[Any], Any]) -> Any:
        run = self.switch.back if self.knows_of_both else self.switch.before
        run()
        try:
            return self.browser.visit(view)
        finally:
            self.switch.make()

    def set(self, **values: Any) -> None:
        self.visit(lambda session: session.update(values))

    def end(self) -> None:
        self.visit(flush)

    def sign_in(self) -> None:
        self.visit(sign_in)


@pytest.fixture(params=[False, True], ids=["alone", "knows of both"])
def knows_of_both(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@only_switches(SERVER_PAIRS)
def test_changes_during_the_move_are_moved_in_further_rounds(
    switch: Switch, move: Move, knows_of_both: bool
) -> None:
    browser = browser_of_moved_session(switch)
    other, old_process = browser.copy(), OldProcess(switch, browser, knows_of_both)

    def first_round() -> None:
        old_process.set(b=2)
        other.set(w=3)

    def third_round() -> None:
        old_process.visit(lambda session: session.pop("b"))
        other.set(a="newer")

    with meanwhile(switch, DELETE_FROM_OLD, first_round, lambda: old_process.set(c=4), third_round):
        move(switch, browser)
    assert browser.read() == {"a": "newer", "c": 4, "w": 3}
    assert dict(switch.store(switch.old)(browser.cookie).items()) == {}


@only_switches(SERVER_PAIRS)
@pytest.mark.parametrize("how", ["end", "sign_in"])
def test_session_that_ends_in_the_old_store_during_the_move_opens_nothing(
    switch: Switch, move: Move, knows_of_both: bool, how: str
) -> None:
    browser = browser_of_moved_session(switch)
    before, old_process = browser.copy(), OldProcess(switch, browser, knows_of_both)
    with meanwhile(switch, DELETE_FROM_OLD, getattr(old_process, how)):
        move(switch, browser)
    assert before.read() == {}
    data = old_process.browser.read()
    assert data == ({"a": 1, "d": 4} if how == "sign_in" else {})


@only_switches(SERVER_PAIRS)
@pytest.mark.parametrize("how", ["end", "sign_in"])
def test_session_that_ends_in_the_old_store_during_the_move_is_not_saved(
    switch: Switch, knows_of_both: bool, how: str
) -> None:
    """A request read the session before it was moved back, and saves it afterwards."""
    browser = browser_of_moved_session(switch)
    browser.read()
    before = browser.copy()
    going_back = OldProcess(switch, browser, knows_of_both=True)
    old_process = OldProcess(switch, browser, knows_of_both)

    def view(session: Any) -> None:
        session.get("a")
        going_back.set(c=3)
        session["b"] = 2

    with meanwhile(switch, DELETE_FROM_OLD, getattr(old_process, how)):
        assert interrupted(browser, view)
    assert before.read() == {}
    data = old_process.browser.read()
    assert data == ({"a": 1, "c": 3, "d": 4} if how == "sign_in" else {})


@only_switches(SERVER_PAIRS)
def test_session_that_ends_in_the_old_store_ends_with_writes_in_the_new_one(
    switch: Switch, move: Move
) -> None:
    browser = browser_of_moved_session(switch)
    before, other = browser.copy(), browser.copy()
    old_process = OldProcess(switch, browser, knows_of_both=False)

    def write_and_end() -> None:
        other.set(w=3)
        old_process.end()

    with meanwhile(switch, DELETE_FROM_OLD, write_and_end):
        move(switch, browser)
    assert before.read() == {}


@only_switches(SERVER_PAIRS)
def test_change_in_the_old_store_is_not_merged_into_an_ended_session(
    switch: Switch, move: Move
) -> None:
    """The session ends in both stores before the change is merged."""
    browser = browser_of_moved_session(switch)
    before, other = browser.copy(), browser.copy()
    old_process = OldProcess(switch, browser, knows_of_both=False)
    with (
        meanwhile(switch, DELETE_FROM_OLD, lambda: old_process.set(b=2)),
        meanwhile(switch, ("new", "put", "before"), lambda: other.visit(flush)),
    ):
        move(switch, browser)
    assert before.read() == {}
    assert interrupted(browser, write) is False
    assert browser.read() == {"b": 2}
    assert browser.cookie != before.cookie


@only_switches(SERVER_PAIRS)
def test_concurrent_moves_lose_no_session(switch: Switch, move: Move) -> None:
    """The second run finds a session that the first has inserted but not yet deleted."""
    browser = browser_of_moved_session(switch)
    with meanwhile(switch, DELETE_FROM_OLD, lambda: move_in_batches(switch)):
        move(switch, browser)
    assert browser.read() == {"a": 1}
    assert dict(switch.store(switch.old)(browser.cookie).items()) == {}


@only_switches([("cache", "db"), ("cache", "file"), ("cache", "cached_db")])
def test_change_that_the_new_store_cannot_serialize_stays_in_the_old_one(
    switch: Switch, settings: Settings, memcached_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CACHES = caches(memcached_url)
    cache_connections["sessions"].clear()
    browser = browser_of_moved_session(switch)
    old_process = OldProcess(switch, browser, knows_of_both=False)
    with meanwhile(switch, DELETE_FROM_OLD, lambda: old_process.set(day=date(2026, 1, 1))):
        browser.read()
    assert browser.read() == {"a": 1}
    assert "A session cannot be kept in" in caplog.text
    assert switch.store("cache")(browser.cookie)["day"] == date(2026, 1, 1)


# The steps of a request that changes the session key after the move.
SIGNING_IN = [
    *(("new", "insert"), ("new", "compare_and_swap"), ("new", "put")),
    ("old", "delete"),
]


@only_switches(SERVER_PAIRS)
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", SIGNING_IN, ids=" ".join)
@pytest.mark.parametrize("writer", ["new", "old"])
def test_write_during_cycle_key_is_kept_or_refused(
    switch: Switch, step: tuple[str, str], moment: str, writer: str
) -> None:
    browser = browser_of_moved_session(switch)
    browser.read()
    before = browser.copy()
    old_process = OldProcess(switch, browser, knows_of_both=True)
    written: list[bool] = []

    def view(session: Any) -> None:
        # A session that has ended by then is not written to.
        if session.get("a"):
            session["c"] = 3
            written.append(True)

    def write_while_moving() -> None:
        try:
            before.copy().visit(view) if writer == "new" else old_process.visit(view)
        except SessionInterrupted:
            written.clear()

    with meanwhile(switch, (*step, moment), write_while_moving):
        browser.visit(sign_in)
    assert before.read() == {}
    assert browser.read() == {"a": 1, "d": 4} | ({"c": 3} if written else {})


@only_switches([("cache", "cache")])
@pytest.mark.parametrize("end", [flush, sign_in])
def test_late_insert_in_one_redis_with_another_serializer_opens_nothing(
    switch: Switch, settings: Settings, redis_url: str, end: Callable[[Any], Any]
) -> None:
    settings.CACHES |= {"handover": previous_cache(f"{redis_url}/1?serializer=pickle")}
    settings.SESSION_CACHE_ALIAS = "handover"
    browser = Browser()
    browser.set(a=1)
    before = browser.copy()
    key = before.cookie or ""
    entry: Any = store_of(handover_engine("cache", "handover").store).read(key, with_expiry=True)
    settings.SESSION_CACHE_ALIAS = "sessions"
    settings.SESSION_HANDOVER_CACHE_ALIAS = "handover"
    switch.make()
    browser.visit(end)
    insert(switch.place("cache"), key, entry.data, entry.expires)
    assert before.read() == {}
