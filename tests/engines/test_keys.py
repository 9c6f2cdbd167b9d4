"""The contract's part on session keys, and on the end of a session."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pickle import PicklingError
from unittest import mock

import pytest
from django.contrib.sessions.backends.base import VALID_KEY_CHARS, UpdateError
from django.db import DatabaseError
from django.utils import timezone

from cookieproj.engines.base import random_key

from .contract import ALL, NONE, Engine, Open, kept, on_engines

pytestmark = on_engines(lambda engine: engine.name != "signed_cookies")


def test_a_session_that_was_flushed_is_never_brought_back(request_for: Open, key: str) -> None:
    one, other = request_for(key).set(c=3), request_for(key)
    other.flush()
    with pytest.raises(UpdateError):
        one.save()
    assert not request_for().exists(key)
    assert request_for(key).data == {}


@pytest.mark.parametrize("times", [1, 2])
def test_nor_under_a_new_key(engine: Engine, request_for: Open, key: str, times: int) -> None:
    """As when a password is changed in one tab and the other signs out."""
    one, other = request_for(key).set(c=3), request_for(key)
    other.flush()
    for _ in range(times):
        one.cycle_key()
    try:
        one.save()
    except UpdateError:
        ended = True
    else:
        ended = not one.exists(one.session_key)
    kept(engine, ended, "signed out in one tab, still stored under a new key", ALL)


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


@pytest.mark.parametrize(
    "wrong", ["", "short", "with blank in it", "new\nline-key", "ключ" * 8, "k" * 300]
)
def test_what_cannot_be_a_key_is_none(request_for: Open, wrong: str) -> None:
    session = request_for(wrong)
    assert session.data == {}
    assert session.session_key is None


def test_a_key_in_capitals_is_another(engine: Engine, request_for: Open, key: str) -> None:
    """MariaDB compares without them, and cached_db would copy the session under that key too."""
    data = request_for(key.upper()).data
    kept(engine, data == {}, data, ALL if engine.database == "mariadb" else NONE)


def test_a_nul_is_no_key(engine: Engine, request_for: Open) -> None:
    """PostgreSQL takes none in a text."""
    try:
        seen: object = request_for("with-a-\0-in-it").data
    except DatabaseError as error:
        seen = error
    kept(engine, seen == {}, seen, ALL if engine.database == "postgresql" else NONE)


@contextmanager
def new_keys(*keys: str) -> Iterator[None]:
    """The next keys that are made."""
    with ExitStack() as stack:
        for made in (
            "django.contrib.sessions.backends.base.get_random_string",
            "cookieproj.engines.base.random_key",
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


def test_deleting_the_test_cookie_is_a_change(engine: Engine, request_for: Open) -> None:
    session = request_for()
    session.set_test_cookie()
    session.save()
    again = request_for(session.session_key)
    assert again.test_cookie_worked()
    again.delete_test_cookie()
    broken = ALL if again.half == "async" else NONE
    kept(engine, again.store.modified, "modified is False", broken)
