"""The connection breaks between a statement and its answer: nobody knows whether it was done."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from unittest import mock

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.db import Error, close_old_connections, connection

from cookieproj.engines.exceptions import StoreUnavailableError
from tests.proxy import Proxy, proxied

from .contract import ALL, Engine, kept, on_engines

pytestmark = on_engines(lambda engine: engine.database in {"postgresql", "pgbouncer", "mariadb"})

OLD, NEW = {"a": 1}, {"a": 1, "b": 2}


@pytest.fixture
def proxy(engine: Engine) -> Iterator[Proxy]:
    """What the engine reaches its database through."""
    settings = connection.settings_dict
    folder = settings["HOST"] or settings["OPTIONS"].get("host")
    server = (
        f"{folder}/.s.PGSQL.5432"
        if engine.database == "postgresql"
        else (settings["HOST"], int(settings["PORT"]))
    )
    connection.close()
    with proxied(server) as proxy:
        there = {"HOST": "127.0.0.1", "PORT": str(proxy.port)}
        with mock.patch.dict(settings, there):
            yield proxy
            connection.close()


def stored(engine: Engine, **data: Any) -> Any:
    session = engine.Store()
    session.update(data)
    session.save()
    return session


def opens(engine: Engine, session_key: str, data: dict[str, Any]) -> bool:
    """Whether the next request finds that under its key, and can write."""
    session = engine.Store(session_key)
    found = dict(session.items())
    session["next"] = True
    with suppress(UpdateError):
        session.save()
        return found == data and session.session_key == session_key
    return False


def without_each_answer(
    proxy: Proxy, act: Callable[[Any], object], begin: Callable[[], Any]
) -> Any:
    """Act on what ``begin`` gives: without the first answer, then without the second, and so on.

    Gives each time what it was done to, and the error. After one the next request finds a
    connection that is open, as Django sees to at its beginning.
    """
    number = 0
    while True:
        begun, error = begin(), None
        proxy.drop_answer(after=number)
        try:
            act(begun)
        except (Error, StoreUnavailableError, UpdateError) as raised:
            error = raised
        if not proxy.dropped.is_set():
            proxy.pass_all()
            assert error is None
            assert number, "there was nothing to drop"
            return
        if error:
            close_old_connections()
        yield begun, error
        number += 1


def test_a_save_is_done_or_not_and_under_the_same_key(engine: Engine, proxy: Proxy) -> None:
    def change() -> Any:
        session = engine.Store(stored(engine, **OLD).session_key)
        session["b"] = 2
        return session

    for session, error in without_each_answer(proxy, lambda session: session.save(), change):
        assert error
        assert dict(engine.Store(session.session_key).items()) in (OLD, NEW)
        # As the browser that tries again does.
        again = engine.Store(session.session_key)
        again["b"] = 2
        again.save()
        assert dict(engine.Store(session.session_key).items()) == NEW


def test_of_a_load_nothing_is_left_behind(engine: Engine, proxy: Proxy) -> None:
    key = stored(engine, **OLD).session_key
    if engine.name == "cached_db":
        # Else the database is not asked.
        engine.Store()._cache.clear()
    for _session, error in without_each_answer(
        proxy, lambda session: session.load(), lambda: engine.Store(key)
    ):
        assert error
        assert dict(engine.Store(key).items()) == OLD
        if engine.name == "cached_db":
            engine.Store()._cache.clear()


def test_a_session_that_may_be_stored_is_stored_when_it_is_tried_again(
    engine: Engine, proxy: Proxy
) -> None:
    def new() -> Any:
        session = engine.Store()
        session.update(OLD)
        return session

    kept_ones = []
    for session, error in without_each_answer(proxy, lambda session: session.save(), new):
        assert error
        # Django's session keeps a key under which nothing is stored.
        with suppress(UpdateError):
            session.save()
        kept_ones.append(opens(engine, session.session_key, OLD))
    kept(engine, all(kept_ones), kept_ones, ALL)


def test_a_sign_out_that_may_have_been_is_done_when_it_is_tried_again(
    engine: Engine, proxy: Proxy
) -> None:
    def begin() -> Any:
        return engine.Store(stored(engine, **OLD).session_key)

    for session, error in without_each_answer(proxy, lambda session: session.delete(), begin):
        assert error
        session.delete()
        assert dict(engine.Store(session.session_key).items()) == {}


def test_a_new_key_leaves_the_browser_with_one_that_opens(engine: Engine, proxy: Proxy) -> None:
    """Either the request goes on under the new one, or the old one still opens the session."""

    def begin() -> Any:
        session = engine.Store(stored(engine, **OLD).session_key)
        session["b"] = 2
        return session, session.session_key

    def cycle(begun: Any) -> None:
        begun[0].cycle_key()

    opened = []
    for (session, old_key), error in without_each_answer(proxy, cycle, begin):
        if error is None:
            session.save()
            opened.append(opens(engine, session.session_key, NEW))
        else:
            # The answer is an error, and the browser keeps its cookie.
            opened.append(opens(engine, old_key, OLD))
    kept(engine, all(opened), opened, ALL)
