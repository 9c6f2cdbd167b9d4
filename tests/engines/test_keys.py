"""The promises of each engine about session keys and ended sessions."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pickle import PicklingError
from unittest import mock

import pytest
from django.contrib.sessions.backends.base import VALID_KEY_CHARS, UpdateError
from django.utils import timezone

from cookieproj.engines.session_keys import random_key
from tests.families import IN_COOKIES
from tests.stores import after, steps_of

from .contract import ALL, NONE, Engine, Open, kept, on_engines

pytestmark = on_engines(lambda engine: engine.name not in IN_COOKIES)


def test_save_after_flush_raises_update_error(request_for: Open, key: str) -> None:
    late, other = request_for(key).set(c=3), request_for(key)
    other.flush()
    with pytest.raises(UpdateError):
        late.save()
    assert not request_for().exists(key)
    assert request_for(key).data == {}


@pytest.mark.parametrize("ending", ["cycle_key", "flush"])
@pytest.mark.parametrize("times", [1, 2])
def test_cycle_key_succeeds_after_session_ended_elsewhere(
    request_for: Open, key: str, ending: str, times: int
) -> None:
    """For example two sign-ins by a double click: the browser keeps the later key."""
    first, second = request_for(key), request_for(key)
    first.get("a")
    second.get("a")
    if ending == "flush":
        first.flush()
    else:
        first.cycle_key()
    first.save()
    for _ in range(times):
        second.cycle_key()
    second.set(signed_in=1)
    second.save()
    assert request_for(second.session_key).data == {"a": 1, "b": 2, "signed_in": 1}
    assert request_for(key).data == {}


def test_cycle_key_of_cleared_session_restores_no_data_after_end(
    request_for: Open, key: str
) -> None:
    session = request_for(key)
    session.get("a")
    request_for(key).flush()
    session.clear()
    session.cycle_key()
    session.set(new=1)
    session.save()
    assert request_for(session.session_key).data == {"new": 1}


def test_create_copies_loaded_session_to_new_key(request_for: Open, key: str) -> None:
    """Like in Django, the old key keeps its session."""
    session = request_for(key)
    session.get("a")
    session.store.create()
    session.set(c=3).save()
    assert session.session_key != key
    assert request_for(session.session_key).data == {"a": 1, "b": 2, "c": 3}
    assert request_for(key).data == {"a": 1, "b": 2}


@pytest.mark.parametrize("ending", ["flush", "cycle_key"])
def test_late_save_under_ended_key_stores_nothing(request_for: Open, key: str, ending: str) -> None:
    late, other = request_for(key).set(c=3), request_for(key)
    getattr(other, ending)()
    other.save()
    with pytest.raises(UpdateError):
        late.save()
    assert not request_for().exists(key)
    assert request_for(key).data == {}


def test_cycle_key_keeps_write_between_insert_and_delete(
    engine: Engine, request_for: Open, key: str
) -> None:
    session, other = request_for(key).set(c=3), request_for(key).set(d=4)
    with after_insert(engine, other.store.save):
        session.cycle_key()
    assert request_for(key).data == {}
    session.save()
    data = request_for(session.session_key).data
    kept(engine, data == {"a": 1, "b": 2, "c": 3, "d": 4}, data, ALL)


@contextmanager
def after_insert(engine: Engine, action: Callable[[], object]) -> Iterator[None]:
    """Do it once, after the new entry is inserted and before the old one is deleted."""
    done: list[bool] = []

    def once() -> None:
        if not done:
            done.append(True)
            action()

    if engine.ours:
        with steps_of(engine.Store, insert=after(once)):
            yield
        assert done
        return
    with mock.patch.object(engine.Store, "create", after(once)(engine.Store.create)):
        yield


def test_flush_deletes_session_and_next_save_gets_new_key(request_for: Open, key: str) -> None:
    session = request_for(key)
    session.flush()
    assert session.session_key is None
    assert not request_for().exists(key)
    session.set(x=1)
    session.save()
    assert session.session_key not in {None, key}
    assert request_for(session.session_key).data == {"x": 1}


def test_cycle_key_deletes_old_key(request_for: Open, key: str) -> None:
    session = request_for(key)
    session.cycle_key()
    assert session.session_key not in {None, key}
    assert session.modified
    assert not request_for().exists(key)
    session.set(c=3)
    session.save()
    assert request_for(session.session_key).data == {"a": 1, "b": 2, "c": 3}
    assert request_for(key).data == {}


def test_cycle_key_keeps_concurrent_write(engine: Engine, request_for: Open, key: str) -> None:
    session = request_for(key).set(c=3)
    request_for(key).set(d=4).save()
    session.cycle_key()
    session.save()
    data = request_for(session.session_key).data
    kept(engine, data == {"a": 1, "b": 2, "c": 3, "d": 4}, data, ALL)


def test_cycle_key_stores_entry_at_once(request_for: Open, key: str) -> None:
    """Receivers of ``user_logged_in`` may refer to the session by its new key."""
    session = request_for(key)
    session.cycle_key()
    assert request_for().exists(session.session_key)
    fresh = request_for()
    fresh.cycle_key()
    assert request_for().exists(fresh.session_key)


def test_cycle_key_of_cleared_session_needs_no_stored_entry(request_for: Open) -> None:
    """For example a sign-in that starts with ``clear()``, with the cookie of an expired session."""
    session = request_for("k" * 32)
    session.clear()
    session.cycle_key()
    session.set(a=1)
    session.save()
    assert session.session_key != "k" * 32
    assert request_for(session.session_key).data == {"a": 1}


def test_delete_of_empty_key_deletes_nothing(request_for: Open, key: str) -> None:
    request_for(key).delete("")
    assert request_for(key).data == {"a": 1, "b": 2}


def test_first_save_succeeds_after_failed_one(engine: Engine, request_for: Open) -> None:
    session = request_for().set(bad=lambda: None)
    with pytest.raises((TypeError, AttributeError, PicklingError)):
        session.save()
    session.set(bad="good")
    try:
        session.save()
        seen: object = request_for(session.session_key).data
    except UpdateError as error:
        seen = repr(error)
    kept(engine, seen == {"bad": "good"}, seen, ALL - {"file"})


def test_unknown_key_is_replaced(request_for: Open) -> None:
    """Otherwise an attacker could choose a visitor's key: session fixation."""
    session = request_for("k" * 32)
    assert session.data == {}
    assert session.session_key is None
    session.set(a=1)
    session.save()
    assert session.session_key != "k" * 32
    assert not request_for().exists("k" * 32)


def test_keys_are_case_sensitive(engine: Engine, request_for: Open, key: str) -> None:
    """MariaDB ignores case, and ``cached_db`` would copy the session under a second key."""
    data = request_for(key.upper()).data
    kept(engine, data == {}, data, ALL if engine.database == "mariadb" else NONE)


@contextmanager
def new_keys(*keys: str) -> Iterator[None]:
    """Return these from the functions that generate keys."""
    with ExitStack() as stack:
        for generator in (
            "django.contrib.sessions.backends.base.get_random_string",
            "cookieproj.engines.session_keys.random_key",
        ):
            stack.enter_context(mock.patch(generator, side_effect=keys))
        yield


def test_random_key_has_length_and_alphabet_of_django() -> None:
    keys = {random_key() for _ in range(2000)}
    assert len(keys) == 2000
    assert {len(key) for key in keys} == {32}
    # Each character occurs about 56 times at each position, so none is missing by chance.
    for characters in zip(*keys, strict=True):
        assert set(characters) == set(VALID_KEY_CHARS)


def test_session_keys_are_random_and_differ(request_for: Open) -> None:
    session = request_for().set(a=1)
    session.save()
    first = session.session_key
    session.cycle_key()
    assert first != session.session_key
    assert all(re.fullmatch("[a-z0-9]{32}", key) for key in (first, session.session_key))


def test_used_key_is_not_overwritten(request_for: Open, key: str) -> None:
    session = request_for().set(mine=1)
    with new_keys(key, "n" * 32):
        session.save()
    assert session.session_key == "n" * 32
    with new_keys(key, "o" * 32):
        session.cycle_key()
    session.save()
    assert session.session_key == "o" * 32
    assert request_for(session.session_key).data == {"mine": 1}
    assert request_for(key).data == {"a": 1, "b": 2}


def test_expiry_is_stored_with_session(request_for: Open) -> None:
    session = request_for().set(a=1)
    session.set_expiry(60)
    session.save()
    again = request_for(session.session_key)
    assert again.get_expiry_age() == 60
    assert not again.get_expire_at_browser_close()


def test_expired_session_is_empty(request_for: Open) -> None:
    session = request_for().set(a=1)
    session.set_expiry(timezone.now() - timedelta(seconds=1))
    session.save()
    again = request_for(session.session_key)
    assert again.data == {}
    assert again.session_key != session.session_key


def test_cycle_key_of_session_that_expires_at_once_raises_no_error(
    engine: Engine, request_for: Open, key: str
) -> None:
    """It ends by its expiry. The save must not mistake it for one that was deleted."""
    session = request_for(key)
    session.set_expiry(-60)
    session.cycle_key()
    try:
        session.save()
        seen: object = request_for(session.session_key).data
    except UpdateError as error:
        seen = repr(error)
    kept(engine, seen == {}, seen, frozenset({"cache"}))
    assert request_for(key).data == {}


def test_delete_test_cookie_marks_session_modified(engine: Engine, request_for: Open) -> None:
    session = request_for()
    session.set_test_cookie()
    session.save()
    again = request_for(session.session_key)
    assert again.test_cookie_worked()
    again.delete_test_cookie()
    broken = ALL if again.half == "async" else NONE
    kept(engine, again.store.modified, "modified is False", broken)
