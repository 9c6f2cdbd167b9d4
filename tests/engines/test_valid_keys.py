"""The contract's part on what can be a session key: whatever the store can hold."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from django.contrib.sessions.backends.base import VALID_KEY_CHARS
from django.contrib.sessions.exceptions import InvalidSessionKey
from django.core.cache.backends.base import InvalidCacheKey
from django.db import DatabaseError, DataError, connection
from django.http import SimpleCookie
from django.utils.crypto import get_random_string
from django.utils.functional import lazystr
from django.utils.safestring import SafeString
from pymemcache.exceptions import MemcacheError

from cookieproj.engines.constants import DJANGO_ENGINES
from tests.families import IN_COOKIES

from .contract import ALL, NONE, Engine, Open, kept, on_engines

# A cache may warn of a key that memcached could not hold.
pytestmark = [
    on_engines(lambda engine: engine.name not in IN_COOKIES),
    pytest.mark.filterwarnings("ignore::django.core.cache.backends.base.CacheKeyWarning"),
]


@pytest.mark.parametrize("wrong", [None, "", "short", 5_000_000_000, b"k" * 32])
def test_what_cannot_be_a_key_is_none(engine: Engine, request_for: Open, wrong: Any) -> None:
    try:
        session = request_for(wrong)
        seen: object = (session.data, session.session_key)
    except TypeError as error:
        seen = error
    kept(engine, seen == ({}, None), seen, ALL if isinstance(wrong, int) else NONE)


# Whatever a browser sends, or another site has stored.
STRANGE = [
    *("with blank in it", "new\nline-key", "ключ" * 8, "with-a-\0-in-it", "\x7f" * 8, "../../../"),
    *("k" * 41, "k" * 200, "k" * 240, "k" * 300, "k" * 5000, "ключ" * 60),
]

# No browser can send it.
HALF_A_CHARACTER = "\ud800" * 8


def name(key: str) -> str:
    return f"{key[:4]!a} {len(key)}"


@pytest.mark.parametrize("strange", [*STRANGE, HALF_A_CHARACTER], ids=name)
def test_a_key_that_opens_nothing_is_no_error(
    engine: Engine, request_for: Open, strange: str
) -> None:
    """A NUL is none either, though PostgreSQL takes none in a text, nor is half a character."""
    try:
        session = request_for(strange)
        seen: object = (session.data, session.session_key)
        session.set(a=1).save()
    except (DatabaseError, UnicodeEncodeError) as error:
        seen = error
    is_nul = "\0" in strange and connection.vendor == "postgresql"
    is_half = strange == HALF_A_CHARACTER and engine.database
    kept(engine, seen == ({}, None), seen, ALL if is_nul or is_half else NONE)


@pytest.mark.parametrize("strange", STRANGE, ids=name)
def test_a_session_under_a_strange_key_opens_where_django_can_store_one(
    engine: Engine, strange: str
) -> None:
    """As another site, or Django's engine with a subclass of its own, has put it there."""
    djangos: Any = import_module(f"{DJANGO_ENGINES}{engine.name}").SessionStore
    first = djangos(strange)
    first._session_cache = {"a": 1}
    try:
        first.save(must_create=True)
        can_be_stored = dict(djangos(strange).items()) == {"a": 1}
    except CANNOT:
        can_be_stored = False
    session = engine.Store(strange)
    if not can_be_stored:
        # A row of cached_db may be there all the same.
        assert engine.djangos or session.load() in ({}, {"a": 1})
        return
    assert dict(session.items()) == {"a": 1}
    assert session.session_key == strange
    assert session.exists(strange)
    session["b"] = 2
    session.save()
    assert dict(engine.Store(strange).items()) == {"a": 1, "b": 2}
    session.delete()
    assert not session.exists(strange)
    assert dict(djangos(strange).items()) == {}


# What Django's engines raise where their store can hold nothing under a key.
CANNOT = (DatabaseError, OSError, InvalidCacheKey, MemcacheError, InvalidSessionKey)


def morsel(key: str) -> Any:
    """What the cookies of a test client hold."""
    cookies = SimpleCookie()
    cookies["sessionid"] = key
    return cookies["sessionid"]


class Text(str):
    __slots__ = ()


Kinds = dict[str, Callable[[str], Any]]

TEXTS: Kinds = {"a subclass": Text, "a safe string": SafeString, "a lazy string": lazystr}
OTHERS: Kinds = {"a Morsel": morsel, "bytes": str.encode, "a number": lambda key: 12345678}


def told(request_for: Open, key: Any) -> object:
    """Whether it exists, and opens something; at the end it is deleted."""
    try:
        found = bool(request_for().exists(key)), bool(request_for(key).data)
        request_for().delete(key)
    except (TypeError, InvalidSessionKey) as error:
        return type(error)
    return found


@pytest.mark.parametrize("kind", TEXTS)
def test_a_key_may_be_any_text(request_for: Open, key: str, kind: str) -> None:
    assert told(request_for, TEXTS[kind](key)) == (True, True)
    assert not request_for().exists(key)


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_text_opens_nothing_and_is_no_error(
    engine: Engine, request_for: Open, key: str, kind: str
) -> None:
    """As in Django's db engine, where it is looked for by its text; a number is an error there."""
    seen = told(request_for, OTHERS[kind](key))
    is_no_name = engine.name == "file" and seen is InvalidSessionKey
    broken = ALL if kind == "a number" else {"cache", "cached_db"}
    kept(engine, is_no_name or seen == (False, False), seen, frozenset(broken))
    assert request_for().exists(key)


@pytest.mark.parametrize("length", [8, 41, 64, 180])
def test_new_keys_may_be_of_another_length(engine: Engine, length: int) -> None:
    """A subclass has its reasons; a column holds 40 characters, where the database minds."""

    class Other(engine.Store):  # type: ignore[misc, name-defined]
        def _get_new_session_key(self) -> str:
            return get_random_string(length, VALID_KEY_CHARS)

    # As Django's salt holds it.
    Other.__qualname__ = "SessionStore"
    session = Other()
    session["a"] = 1
    if engine.database in {"postgresql", "pgbouncer", "mariadb"} and length > 40:
        with pytest.raises(DataError):
            session.save()
        return
    session.save()
    first = session.session_key
    assert len(first) == length
    assert dict(Other(first).items()) == {"a": 1}
    session.cycle_key()
    session.save()
    assert len(session.session_key) == length
    assert dict(engine.Store(session.session_key).items()) == {"a": 1}
    assert dict(Other(first).items()) == {}


@on_engines(lambda engine: engine.ours and engine.on_server)
def test_a_new_key_that_is_none_is_an_error_that_says_so(engine: Engine) -> None:
    class Other(engine.Store):  # type: ignore[misc, name-defined]
        def _get_new_session_key(self) -> str:
            return "short"

    with pytest.raises(InvalidSessionKey, match="new session key"):
        Other().save()
