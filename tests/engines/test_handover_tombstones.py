"""A handover leaves a tombstone under the key of an ended session, which opens nothing."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from importlib import import_module
from typing import Any

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.utils import timezone

from cookieproj.engines.caches.generic import TOMBSTONE_TTL
from cookieproj.engines.clock import from_now
from cookieproj.engines.constants import DJANGO_ENGINES, OUR_ENGINES
from cookieproj.engines.handover.move_one import SessionMover, expiry_of_data, write_tombstone
from cookieproj.engines.handover_mixin import store_of

from .contract import Engine, Open, Request, on_engines
from .handover_switch import (
    SERVER_PAIRS,
    Browser,
    Switch,
    browser_of_moved_session,
    flush,
    meanwhile,
    only_switches,
)
from .test_handover_changes_during_move import (
    DELETE_FROM_OLD,
    Move,
    OldProcess,
    move_by_movesessions,
    move_by_request,
)
from .test_handover_failures import move_in_batches
from .test_handover_races import interrupted, sign_in
from .test_listing import listable

on_ours = on_engines(lambda engine: engine.ours and engine.on_server)


def is_listed(engine: Engine) -> bool:
    return engine.ours and engine.on_server and listable(engine)


End = Callable[[Engine, str], None]


@pytest.fixture
def end() -> End:
    """End a session like a handover does. Without a handover, an engine leaves no tombstone."""

    def end(engine: Engine, key: str) -> None:
        ours = import_module(engine.path.replace(DJANGO_ENGINES, OUR_ENGINES)).SessionStore
        write_tombstone(store_of(ours), key, from_now(TOMBSTONE_TTL))

    return end


@on_engines(lambda engine: engine.on_server)
def test_tombstone_opens_no_session(engine: Engine, request_for: Open, key: str, end: End) -> None:
    """In Django's engines, to which a site may go back, it is a session without a user."""
    end(engine, key)
    session = request_for(key)
    assert session.data == ({} if engine.ours else {"_session_ended": True})
    assert session.get(SESSION_KEY) is None
    assert (session.session_key is None) is engine.ours


@on_ours
def test_exists_is_false_for_tombstone(
    engine: Engine, request_for: Open, key: str, end: End
) -> None:
    assert request_for(key).exists(key)
    end(engine, key)
    assert not request_for().exists(key)


@on_engines(is_listed)
def test_tombstone_is_not_listed(engine: Engine, key: str, end: End) -> None:
    other = Request(engine.Store(), "sync").set(a=1, b=2)
    other.save()
    keys = {key, other.session_key}
    assert engine.Store.alive(keys) == keys
    end(engine, key)
    assert engine.Store.alive(keys) == {other.session_key}
    assert [listed.key for listed in engine.Store.walk()] == [other.session_key]
    assert [listed.key for listed in engine.Store.page().sessions] == [other.session_key]


@on_engines(is_listed)
def test_session_as_long_as_tombstone_is_listed(engine: Engine) -> None:
    session = engine.Store()
    session["_session_endef"] = True
    session.save()
    assert engine.Store.alive([session.session_key]) == {session.session_key}


@on_ours
def test_late_save_and_create_fail_over_tombstone(
    engine: Engine, request_for: Open, key: str, end: End
) -> None:
    late = request_for(key)
    assert late.get("a") == 1
    late.set(c=3)
    end(engine, key)
    with pytest.raises(UpdateError):
        late.save()
    created = request_for(key)
    created.clear()
    with pytest.raises(CreateError):
        created.save(must_create=True)
    assert request_for(key).data == {}
    assert not request_for().exists(key)


@on_ours
def test_session_cleared_without_loading_gets_new_key(
    engine: Engine, request_for: Open, key: str, end: End
) -> None:
    """The browser gets a new session, like one without a cookie."""
    cleared = request_for(key)
    cleared.clear()
    cleared.set(c=3)
    end(engine, key)
    cleared.save()
    assert cleared.session_key not in (None, key)
    assert request_for(cleared.session_key).data == {"c": 3}
    assert request_for(key).data == {}
    assert not request_for().exists(key)


@on_ours
def test_late_apply_fails_over_tombstone(
    engine: Engine, request_for: Open, key: str, end: End
) -> None:
    session = request_for(key)
    assert session.get("a") == 1
    end(engine, key)
    with pytest.raises(UpdateError):
        session.apply("a", lambda value: value + 1)
    assert request_for(key).data == {}


@on_ours
def test_new_key_gets_no_data_of_tombstone(
    engine: Engine, request_for: Open, key: str, end: End
) -> None:
    session = request_for(key)
    assert session.get("a") == 1
    end(engine, key)
    session.cycle_key()
    session.save()
    assert request_for(session.session_key).data == {"a": 1, "b": 2}
    assert request_for(key).data == {}


@pytest.mark.parametrize("ending", ["end", "sign_in"])
@only_switches(SERVER_PAIRS)
def test_process_without_handover_respects_ended_session(switch: Switch, ending: str) -> None:
    """Both kinds of processes run in the first step of a deployment that adds the handover."""
    browser = Browser()
    browser.set(a=1)
    before, late = browser.copy(), browser.copy()
    with_handover = OldProcess(switch, browser, knows_of_both=True)

    def write_after_end(session: Any) -> None:
        session.get("a")
        getattr(with_handover, ending)()
        switch.before()
        session["b"] = 2

    switch.before()
    assert interrupted(late, write_after_end)
    for run in (switch.before, switch.back, switch.make):
        run()
        assert before.copy().read() == {}


@only_switches(SERVER_PAIRS)
def test_sign_in_without_handover_during_sign_out_keeps_its_session(switch: Switch) -> None:
    browser = Browser()
    browser.set(a=1)
    before, late = browser.copy(), browser.copy()
    with_handover = OldProcess(switch, browser, knows_of_both=True)

    def sign_in_after_end(session: Any) -> None:
        session.get("a")
        with_handover.visit(flush)
        switch.before()
        sign_in(session)

    switch.before()
    late.visit(sign_in_after_end)
    assert late.read() == {"a": 1, "d": 4}
    assert before.read() == {}


@pytest.mark.parametrize("by", [move_by_request, move_by_movesessions])
@only_switches(SERVER_PAIRS)
def test_concurrent_movesessions_keeps_changes_of_both_stores(switch: Switch, by: Move) -> None:
    """The other ``movesessions`` moves the session between the insert and the delete of a move."""
    browser = browser_of_moved_session(switch)
    other, old_process = browser.copy(), OldProcess(switch, browser, knows_of_both=False)

    def move_and_change() -> None:
        old_process.set(c=3)
        assert move_in_batches(switch)
        other.set(w=4)

    with meanwhile(switch, DELETE_FROM_OLD, move_and_change):
        by(switch, browser)
    assert browser.read() == {"a": 1, "c": 3, "w": 4}
    expires = switch.expiry(switch.new, browser.cookie)
    assert expires is None or expires > timezone.now() + timedelta(days=1)
    # The tombstone in the old store opens nothing.
    old = switch.store(switch.old)
    assert list(old.walk()) == []
    assert dict(old(browser.cookie).items()) == {}
    assert not move_in_batches(switch)
    # After the session was moved back and has ended in the old store, nothing opens it.
    moving_back = OldProcess(switch, browser, knows_of_both=True)
    assert moving_back.visit(lambda session: dict(session.items())) == {"a": 1, "c": 3, "w": 4}
    moving_back.end()
    assert browser.read() == {}


@only_switches(SERVER_PAIRS)
def test_request_loads_session_that_is_moved_back_during_its_move(switch: Switch) -> None:
    """``movesessions`` finishes the move, then a process of the old engine moves it back."""
    browser = browser_of_moved_session(switch)
    moving_back = OldProcess(switch, browser, knows_of_both=True)

    def move_and_move_back() -> None:
        assert move_in_batches(switch)
        moving_back.set(c=3)

    with meanwhile(switch, DELETE_FROM_OLD, move_and_move_back):
        assert browser.read() == {"a": 1, "c": 3}
    assert browser.read() == {"a": 1, "c": 3}
    assert list(switch.store(switch.old).walk()) == []


@only_switches(SERVER_PAIRS)
def test_session_moved_after_its_end_opens_nowhere(switch: Switch) -> None:
    """A process that reads the tombstone in the old store ignores the session in the new one."""
    browser = browser_of_moved_session(switch)
    with_handover = OldProcess(switch, browser, knows_of_both=True)
    moved = []

    def move_concurrently() -> None:
        new = switch.store(switch.new)
        assert dict(new(browser.cookie).items()) == {"a": 1}
        stores = switch.place(switch.old), switch.place(switch.new)
        moved.append(SessionMover(*stores, partial(expiry_of_data, new)).move(browser.cookie or ""))

    before_insert = ("new", "insert", "before")
    with (
        meanwhile(switch, before_insert, with_handover.end),
        meanwhile(switch, DELETE_FROM_OLD, move_concurrently),
    ):
        assert browser.copy().read() == {}
    assert moved == [None]
    assert browser.read() == {}
