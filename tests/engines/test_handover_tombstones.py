"""The tombstone of a handover, under the key of a session that has ended, opens nothing."""

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
    """End a session like a handover does. An engine without a handover leaves no tombstone."""

    def end(engine: Engine, key: str) -> None:
        ours = import_module(engine.path.replace(DJANGO_ENGINES, OUR_ENGINES)).SessionStore
        write_tombstone(store_of(ours), key, from_now(TOMBSTONE_TTL))

    return end


@on_engines(lambda engine: engine.on_server)
def test_it_opens_nothing(engine: Engine, request_for: Open, key: str, end: End) -> None:
    """To Django's engines, to which a site may go back, it is a session without a user."""
    end(engine, key)
    session = request_for(key)
    assert session.data == ({} if engine.ours else {"_session_ended": True})
    assert session.get(SESSION_KEY) is None
    assert (session.session_key is None) is engine.ours


@on_ours
def test_it_does_not_exist(engine: Engine, request_for: Open, key: str, end: End) -> None:
    assert request_for(key).exists(key)
    end(engine, key)
    assert not request_for().exists(key)


@on_engines(is_listed)
def test_it_is_not_among_the_sessions(engine: Engine, key: str, end: End) -> None:
    other = Request(engine.Store(), "sync").set(a=1, b=2)
    other.save()
    keys = {key, other.session_key}
    assert engine.Store.alive(keys) == keys
    end(engine, key)
    assert engine.Store.alive(keys) == {other.session_key}
    assert [each.key for each in engine.Store.walk()] == [other.session_key]
    assert [each.key for each in engine.Store.page().sessions] == [other.session_key]


@on_engines(is_listed)
def test_what_is_as_long_as_a_tombstone_is_a_session(engine: Engine) -> None:
    session = engine.Store()
    session["_session_endef"] = True
    session.save()
    assert engine.Store.alive([session.session_key]) == {session.session_key}


@on_ours
def test_a_late_save_is_refused(engine: Engine, request_for: Open, key: str, end: End) -> None:
    """Nor can the key be created again."""
    read = request_for(key)
    assert read.get("a") == 1
    read.set(c=3)
    end(engine, key)
    with pytest.raises(UpdateError):
        read.save()
    created = request_for(key)
    created.clear()
    with pytest.raises(CreateError):
        created.save(must_create=True)
    assert request_for(key).data == {}
    assert not request_for().exists(key)


@on_ours
def test_one_that_was_emptied_unread_is_begun_anew(
    engine: Engine, request_for: Open, key: str, end: End
) -> None:
    """The browser gets a new session, like one without a cookie."""
    emptied = request_for(key)
    emptied.clear()
    emptied.set(c=3)
    end(engine, key)
    emptied.save()
    assert emptied.session_key not in (None, key)
    assert request_for(emptied.session_key).data == {"c": 3}
    assert request_for(key).data == {}
    assert not request_for().exists(key)


@on_ours
def test_so_is_what_is_applied(engine: Engine, request_for: Open, key: str, end: End) -> None:
    session = request_for(key)
    assert session.get("a") == 1
    end(engine, key)
    with pytest.raises(UpdateError):
        session.apply("a", lambda value: value + 1)
    assert request_for(key).data == {}


@on_ours
def test_a_new_key_takes_nothing_of_it_along(
    engine: Engine, request_for: Open, key: str, end: End
) -> None:
    session = request_for(key)
    assert session.get("a") == 1
    end(engine, key)
    session.cycle_key()
    session.save()
    assert request_for(session.session_key).data == {"a": 1, "b": 2}
    assert request_for(key).data == {}


@pytest.mark.parametrize("how", ["end", "sign_in"])
@only_switches(SERVER_PAIRS)
def test_a_process_of_the_old_engine_alone_at_the_same_time(switch: Switch, how: str) -> None:
    """As in the first step of a deployment, which turns the handover on."""
    browser = Browser()
    browser.set(a=1)
    before, late = browser.copy(), browser.copy()
    knowing = OldProcess(switch, browser, knows_of_both=True)

    def written(session: Any) -> None:
        session.get("a")
        getattr(knowing, how)()
        switch.before()
        session["b"] = 2

    switch.before()
    assert interrupted(late, written)
    for run in (switch.before, switch.back, switch.make):
        run()
        assert before.copy().read() == {}


@only_switches(SERVER_PAIRS)
def test_a_sign_in_there_at_the_same_time_keeps_its_user(switch: Switch) -> None:
    browser = Browser()
    browser.set(a=1)
    before, late = browser.copy(), browser.copy()
    knowing = OldProcess(switch, browser, knows_of_both=True)

    def signs_in(session: Any) -> None:
        session.get("a")
        knowing.visit(flush)
        switch.before()
        sign_in(session)

    switch.before()
    late.visit(signs_in)
    assert late.read() == {"a": 1, "d": 4}
    assert before.read() == {}


@pytest.mark.parametrize("by", [move_by_request, move_by_movesessions])
@only_switches(SERVER_PAIRS)
def test_movesessions_takes_it_first(switch: Switch, by: Move) -> None:
    """It deletes a session that another process has just inserted into the new store."""
    browser = browser_of_moved_session(switch)
    other, old_process = browser.copy(), OldProcess(switch, browser, knows_of_both=False)

    def taken() -> None:
        old_process.set(c=3)
        assert move_in_batches(switch)
        other.set(w=4)

    with meanwhile(switch, DELETE_FROM_OLD, taken):
        by(switch, browser)
    assert browser.read() == {"a": 1, "c": 3, "w": 4}
    expires = switch.expiry(switch.new, browser.cookie)
    assert expires is None or expires > timezone.now() + timedelta(days=1)
    # Its tombstone in the old store opens nothing.
    old = switch.store(switch.old)
    assert list(old.walk()) == []
    assert dict(old(browser.cookie).items()) == {}
    assert not move_in_batches(switch)
    # Not even after the session was moved back to the old store and ended in it.
    going_back = OldProcess(switch, browser, knows_of_both=True)
    assert going_back.visit(lambda session: dict(session.items())) == {"a": 1, "c": 3, "w": 4}
    going_back.end()
    assert browser.read() == {}


@only_switches(SERVER_PAIRS)
def test_a_request_finds_what_has_gone_back_meanwhile(switch: Switch) -> None:
    """While the request moves the session, it is deleted from the new store, and moved back."""
    browser = browser_of_moved_session(switch)
    going_back = OldProcess(switch, browser, knows_of_both=True)

    def to_and_fro() -> None:
        assert move_in_batches(switch)
        going_back.set(c=3)

    with meanwhile(switch, DELETE_FROM_OLD, to_and_fro):
        assert browser.read() == {"a": 1, "c": 3}
    assert browser.read() == {"a": 1, "c": 3}
    assert list(switch.store(switch.old).walk()) == []


@only_switches(SERVER_PAIRS)
def test_a_session_that_is_moved_after_its_end_is_found_by_nobody(switch: Switch) -> None:
    """A process that finds the tombstone in the old store ignores the session in the new one."""
    browser = browser_of_moved_session(switch)
    knowing = OldProcess(switch, browser, knows_of_both=True)
    found = []

    def looks() -> None:
        new = switch.store(switch.new)
        assert dict(new(browser.cookie).items()) == {"a": 1}
        stores = switch.place(switch.old), switch.place(switch.new)
        found.append(SessionMover(*stores, partial(expiry_of_data, new)).move(browser.cookie or ""))

    into_new = ("new", "insert", "before")
    with meanwhile(switch, into_new, knowing.end), meanwhile(switch, DELETE_FROM_OLD, looks):
        assert browser.copy().read() == {}
    assert found == [None]
    assert browser.read() == {}
