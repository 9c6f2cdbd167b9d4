"""Any text that the store can hold is a valid session key."""

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

# Django warns about cache keys that memcached would reject.
pytestmark = [
    on_engines(lambda engine: engine.name not in IN_COOKIES),
    pytest.mark.filterwarnings("ignore::django.core.cache.backends.base.CacheKeyWarning"),
]


@pytest.mark.parametrize("invalid", [None, "", "short", 5_000_000_000, b"k" * 32])
def test_invalid_key_becomes_none(engine: Engine, request_for: Open, invalid: Any) -> None:
    try:
        session = request_for(invalid)
        seen: object = (session.data, session.session_key)
    except TypeError as error:
        seen = error
    kept(engine, seen == ({}, None), seen, ALL if isinstance(invalid, int) else NONE)


# A browser may send these, or another site may have stored sessions under them.
STRANGE_KEYS = [
    *("with blank in it", "new\nline-key", "ключ" * 8, "with-a-\0-in-it", "\x7f" * 8, "../../../"),
    *("k" * 41, "k" * 200, "k" * 240, "k" * 300, "k" * 5000, "ключ" * 60),
]

# A lone surrogate, which no browser can send.
SURROGATES = "\ud800" * 8


def name(key: str) -> str:
    return f"{key[:4]!a} {len(key)}"


@pytest.mark.parametrize("strange", [*STRANGE_KEYS, SURROGATES], ids=name)
def test_unknown_strange_key_raises_no_error(
    engine: Engine, request_for: Open, strange: str
) -> None:
    """Although PostgreSQL accepts no NUL in a text, and no database accepts a surrogate."""
    try:
        session = request_for(strange)
        seen: object = (session.data, session.session_key)
        session.set(a=1).save()
    except (DatabaseError, UnicodeEncodeError) as error:
        seen = error
    is_nul = "\0" in strange and connection.vendor == "postgresql"
    is_surrogate = strange == SURROGATES and engine.database
    kept(engine, seen == ({}, None), seen, ALL if is_nul or is_surrogate else NONE)


@on_engines(lambda engine: engine.is_mirror)
@pytest.mark.parametrize("strange", STRANGE_KEYS, ids=name)
def test_session_that_django_stored_under_strange_key_opens(engine: Engine, strange: str) -> None:
    """For example a subclass of Django's engine, or another site, has stored it."""
    djangos: Any = import_module(f"{DJANGO_ENGINES}{engine.name}").SessionStore
    first = djangos(strange)
    first._session_cache = {"a": 1}
    try:
        first.save(must_create=True)
        can_be_stored = dict(djangos(strange).items()) == {"a": 1}
    except INVALID_KEY_ERRORS:
        can_be_stored = False
    session = engine.Store(strange)
    if not can_be_stored:
        # cached_db may have stored the row before its cache raised the error.
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


# The errors of Django's engines if their store cannot hold a key.
INVALID_KEY_ERRORS = (DatabaseError, OSError, InvalidCacheKey, MemcacheError, InvalidSessionKey)


def morsel(key: str) -> Any:
    """The type of the values in a test client's cookies."""
    cookies = SimpleCookie()
    cookies["sessionid"] = key
    return cookies["sessionid"]


class Text(str):
    __slots__ = ()


KeyTypes = dict[str, Callable[[str], Any]]

TEXT_TYPES: KeyTypes = {"a subclass": Text, "a safe string": SafeString, "a lazy string": lazystr}
OTHER_TYPES: KeyTypes = {
    "a Morsel": morsel,
    "bytes": str.encode,
    "a number": lambda key: 12345678,
}


def exists_loads_and_delete(request_for: Open, key: Any) -> object:
    """Return whether the key exists and whether it has data, then delete it."""
    try:
        exists_and_loads = bool(request_for().exists(key)), bool(request_for(key).data)
        request_for().delete(key)
    except (TypeError, InvalidSessionKey) as error:
        return type(error)
    return exists_and_loads


@pytest.mark.parametrize("key_type", TEXT_TYPES)
def test_key_may_be_of_any_text_type(request_for: Open, key: str, key_type: str) -> None:
    assert exists_loads_and_delete(request_for, TEXT_TYPES[key_type](key)) == (True, True)
    assert not request_for().exists(key)


@pytest.mark.parametrize("key_type", OTHER_TYPES)
def test_key_of_other_type_opens_no_session(
    engine: Engine, request_for: Open, key: str, key_type: str
) -> None:
    """Like in Django's db engine, which compares its text, but fails for a number."""
    seen = exists_loads_and_delete(request_for, OTHER_TYPES[key_type](key))
    is_invalid = engine.name == "file" and seen is InvalidSessionKey
    broken = ALL if key_type == "a number" else {"cache", "cached_db"}
    kept(engine, is_invalid or seen == (False, False), seen, frozenset(broken))
    assert request_for().exists(key)


@pytest.mark.parametrize("length", [8, 41, 64, 180])
def test_subclass_may_generate_keys_of_other_length(engine: Engine, length: int) -> None:
    """The column has 40 characters, which PostgreSQL and MariaDB enforce."""

    class SessionStore(engine.Store):  # type: ignore[misc, name-defined]
        def _get_new_session_key(self) -> str:
            return get_random_string(length, VALID_KEY_CHARS)

    # Django's salt contains it.
    SessionStore.__qualname__ = "SessionStore"
    session = SessionStore()
    session["a"] = 1
    if engine.database in {"postgresql", "pgbouncer", "mariadb"} and length > 40:
        with pytest.raises(DataError):
            session.save()
        return
    session.save()
    first = session.session_key
    assert len(first) == length
    assert dict(SessionStore(first).items()) == {"a": 1}
    session.cycle_key()
    session.save()
    assert len(session.session_key) == length
    assert dict(engine.Store(session.session_key).items()) == {"a": 1}
    assert dict(SessionStore(first).items()) == {}


@on_engines(lambda engine: engine.ours and engine.on_server)
def test_invalid_new_key_raises_invalid_session_key(engine: Engine) -> None:
    class SessionStore(engine.Store):  # type: ignore[misc, name-defined]
        def _get_new_session_key(self) -> str:
            return "short"

    with pytest.raises(InvalidSessionKey, match="new session key"):
        SessionStore().save()
