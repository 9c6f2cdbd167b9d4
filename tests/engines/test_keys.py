"""The contract's part on session keys, and on the end of a session."""

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


def test_a_session_that_was_flushed_is_never_brought_back(request_for: Open, key: str) -> None:
    one, other = request_for(key).set(c=3), request_for(key)
    other.flush()
    with pytest.raises(UpdateError):
        one.save()
    assert not request_for().exists(key)
    assert request_for(key).data == {}


@pytest.mark.parametrize("how", ["renamed", "flushed"])
@pytest.mark.parametrize("times", [1, 2])
def test_whoever_asks_for_a_new_key_needs_no_old_entry(
    request_for: Open, key: str, how: str, times: int
) -> None:
    """Two sign-ins at once, say by a double click: the browser keeps the later key."""
    one, other = request_for(key), request_for(key)
    one.get("a")
    other.get("a")
    if how == "flushed":
        one.flush()
    else:
        one.cycle_key()
    one.save()
    for _ in range(times):
        other.cycle_key()
    other.set(signed_in=1)
    other.save()
    assert request_for(other.session_key).data == {"a": 1, "b": 2, "signed_in": 1}
    assert request_for(key).data == {}


def test_what_was_emptied_takes_a_new_key_empty_though_it_has_ended(
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


def test_what_was_read_can_be_created_anew(request_for: Open, key: str) -> None:
    """Under another key, the old one goes on: as Django's ``create`` does it."""
    session = request_for(key)
    session.get("a")
    session.store.create()
    session.set(c=3).save()
    assert session.session_key != key
    assert request_for(session.session_key).data == {"a": 1, "b": 2, "c": 3}
    assert request_for(key).data == {"a": 1, "b": 2}


@pytest.mark.parametrize("ends", ["flush", "cycle_key"])
def test_a_late_save_under_the_old_key_stays_refused(
    request_for: Open, key: str, ends: str
) -> None:
    late, other = request_for(key).set(c=3), request_for(key)
    getattr(other, ends)()
    other.save()
    with pytest.raises(UpdateError):
        late.save()
    assert not request_for().exists(key)
    assert request_for(key).data == {}


def test_a_write_between_the_new_key_and_the_end_of_the_old_comes_along(
    engine: Engine, request_for: Open, key: str
) -> None:
    session, other = request_for(key).set(c=3), request_for(key).set(d=4)
    with once_the_new_entry_is_there(engine, other.store.save):
        session.cycle_key()
    assert request_for(key).data == {}
    session.save()
    data = request_for(session.session_key).data
    kept(engine, data == {"a": 1, "b": 2, "c": 3, "d": 4}, data, ALL)


@contextmanager
def once_the_new_entry_is_there(engine: Engine, action: Callable[[], object]) -> Iterator[None]:
    """Do that then, and the old entry with it."""
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


def test_flush_ends_the_session_and_takes_another_key(request_for: Open, key: str) -> None:
    session = request_for(key)
    session.flush()
    assert session.session_key is None
    assert not request_for().exists(key)
    session.set(x=1)
    session.save()
    assert session.session_key not in {None, key}
    assert request_for(session.session_key).data == {"x": 1}


def test_cycle_key_leaves_nothing_under_the_old_key(request_for: Open, key: str) -> None:
    session = request_for(key)
    session.cycle_key()
    assert session.session_key not in {None, key}
    assert session.modified
    assert not request_for().exists(key)
    session.set(c=3)
    session.save()
    assert request_for(session.session_key).data == {"a": 1, "b": 2, "c": 3}
    assert request_for(key).data == {}


def test_cycle_key_takes_along_what_came_meanwhile(
    engine: Engine, request_for: Open, key: str
) -> None:
    session = request_for(key).set(c=3)
    request_for(key).set(d=4).save()
    session.cycle_key()
    session.save()
    data = request_for(session.session_key).data
    kept(engine, data == {"a": 1, "b": 2, "c": 3, "d": 4}, data, ALL)


def test_the_row_is_there_as_soon_as_the_key_is(request_for: Open, key: str) -> None:
    """Receivers of user_logged_in refer to the session by its new key."""
    session = request_for(key)
    session.cycle_key()
    assert request_for().exists(session.session_key)
    fresh = request_for()
    fresh.cycle_key()
    assert request_for().exists(fresh.session_key)


def test_a_session_emptied_unread_may_take_a_new_key(request_for: Open) -> None:
    """As a sign-in does that begins with clear(), under a cookie that is long over."""
    session = request_for("k" * 32)
    session.clear()
    session.cycle_key()
    session.set(a=1)
    session.save()
    assert session.session_key != "k" * 32
    assert request_for(session.session_key).data == {"a": 1}


def test_no_key_is_nobodys_session(request_for: Open, key: str) -> None:
    request_for(key).delete("")
    assert request_for(key).data == {"a": 1, "b": 2}


def test_a_first_save_that_failed_can_be_tried_again(engine: Engine, request_for: Open) -> None:
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


def test_an_unknown_key_is_not_taken_over(request_for: Open) -> None:
    """A key of the visitor's choosing would be a fixed session."""
    session = request_for("k" * 32)
    assert session.data == {}
    assert session.session_key is None
    session.set(a=1)
    session.save()
    assert session.session_key != "k" * 32
    assert not request_for().exists("k" * 32)


def test_a_key_in_capitals_is_another(engine: Engine, request_for: Open, key: str) -> None:
    """MariaDB compares without them, and cached_db would copy the session under that key too."""
    data = request_for(key.upper()).data
    kept(engine, data == {}, data, ALL if engine.database == "mariadb" else NONE)


@contextmanager
def new_keys(*keys: str) -> Iterator[None]:
    """The next keys that are made."""
    with ExitStack() as stack:
        for made in (
            "django.contrib.sessions.backends.base.get_random_string",
            "cookieproj.engines.session_keys.random_key",
        ):
            stack.enter_context(mock.patch(made, side_effect=keys))
        yield


def test_a_new_key_is_as_long_and_as_random_as_djangos() -> None:
    keys = {random_key() for _ in range(2000)}
    assert len(keys) == 2000
    assert {len(key) for key in keys} == {32}
    # Each character stands about 56 times at each place, and so never by chance not at all.
    for characters in zip(*keys, strict=True):
        assert set(characters) == set(VALID_KEY_CHARS)


def test_the_key_of_a_session_is_such_a_one(request_for: Open) -> None:
    session = request_for().set(a=1)
    session.save()
    first = session.session_key
    session.cycle_key()
    assert first != session.session_key
    assert all(re.fullmatch("[a-z0-9]{32}", key) for key in (first, session.session_key))


def test_a_taken_key_is_not_written_over(request_for: Open, key: str) -> None:
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


def test_expiry_is_a_part_of_the_session(request_for: Open) -> None:
    session = request_for().set(a=1)
    session.set_expiry(60)
    session.save()
    again = request_for(session.session_key)
    assert again.get_expiry_age() == 60
    assert not again.get_expire_at_browser_close()


def test_a_session_that_has_expired_is_gone(request_for: Open) -> None:
    session = request_for().set(a=1)
    session.set_expiry(timezone.now() - timedelta(seconds=1))
    session.save()
    again = request_for(session.session_key)
    assert again.data == {}
    assert again.session_key != session.session_key


def test_a_session_that_expires_at_once_may_take_a_new_key(
    engine: Engine, request_for: Open, key: str
) -> None:
    """It is gone by that, and not taken for one that somebody has ended."""
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


def test_deleting_the_test_cookie_is_a_change(engine: Engine, request_for: Open) -> None:
    session = request_for()
    session.set_test_cookie()
    session.save()
    again = request_for(session.session_key)
    assert again.test_cookie_worked()
    again.delete_test_cookie()
    broken = ALL if again.half == "async" else NONE
    kept(engine, again.store.modified, "modified is False", broken)
