"""The database connection breaks after a statement, whose outcome is then unknown."""

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
    """The proxy between the engine and its database."""
    settings = connection.settings_dict
    folder = settings["HOST"] or settings["OPTIONS"].get("host")
    server = (
        f"{folder}/.s.PGSQL.5432"
        if engine.database == "postgresql"
        else (settings["HOST"], int(settings["PORT"]))
    )
    connection.close()
    with (
        proxied(server) as proxy,
        mock.patch.dict(settings, {"HOST": "127.0.0.1", "PORT": str(proxy.port)}),
    ):
        yield proxy
        connection.close()


def stored(engine: Engine, **data: Any) -> Any:
    session = engine.Store()
    session.update(data)
    session.save()
    return session


def opens(engine: Engine, session_key: str, data: dict[str, Any]) -> bool:
    """Whether the next request loads this data under the key, and can save."""
    session = engine.Store(session_key)
    loaded = dict(session.items())
    session["next"] = True
    with suppress(UpdateError):
        session.save()
        return loaded == data and session.session_key == session_key
    return False


def dropping_each_answer(
    proxy: Proxy, act: Callable[[Any], object], prepare: Callable[[], Any]
) -> Any:
    """Call ``act(prepare())``, first without the first answer, then without the second, and so on.

    Yield each time the result of ``prepare``, and the error of ``act``. After an error the
    connection is renewed, like Django does at the beginning of a request.
    """
    number = 0
    while True:
        prepared, error = prepare(), None
        proxy.drop_answer(after=number)
        try:
            act(prepared)
        except (Error, StoreUnavailableError, UpdateError) as raised:
            error = raised
        if not proxy.dropped.is_set():
            proxy.pass_all()
            assert error is None
            assert number, "there was nothing to drop"
            return
        if error:
            close_old_connections()
        yield prepared, error
        number += 1


def test_save_keeps_key_and_stores_old_or_new_data(engine: Engine, proxy: Proxy) -> None:
    def change() -> Any:
        session = engine.Store(stored(engine, **OLD).session_key)
        session["b"] = 2
        return session

    for session, error in dropping_each_answer(proxy, lambda session: session.save(), change):
        assert error
        assert dict(engine.Store(session.session_key).items()) in (OLD, NEW)
        # The browser tries again.
        again = engine.Store(session.session_key)
        again["b"] = 2
        again.save()
        assert dict(engine.Store(session.session_key).items()) == NEW


def test_failed_load_changes_nothing(engine: Engine, proxy: Proxy) -> None:
    key = stored(engine, **OLD).session_key
    if engine.name == "cached_db":
        # Otherwise the copy is loaded, without the database.
        engine.Store()._cache.clear()
    for _session, error in dropping_each_answer(
        proxy, lambda session: session.load(), lambda: engine.Store(key)
    ):
        assert error
        assert dict(engine.Store(key).items()) == OLD
        if engine.name == "cached_db":
            engine.Store()._cache.clear()


def test_second_save_stores_new_session(engine: Engine, proxy: Proxy) -> None:
    def new() -> Any:
        session = engine.Store()
        session.update(OLD)
        return session

    opened = []
    for session, error in dropping_each_answer(proxy, lambda session: session.save(), new):
        assert error
        # Django's session keeps a key under which nothing is stored.
        with suppress(UpdateError):
            session.save()
        opened.append(opens(engine, session.session_key, OLD))
    kept(engine, all(opened), opened, ALL)


def test_second_delete_ends_session(engine: Engine, proxy: Proxy) -> None:
    def new() -> Any:
        return engine.Store(stored(engine, **OLD).session_key)

    for session, error in dropping_each_answer(proxy, lambda session: session.delete(), new):
        assert error
        session.delete()
        assert dict(engine.Store(session.session_key).items()) == {}


def test_after_cycle_key_browser_has_valid_key(engine: Engine, proxy: Proxy) -> None:
    """If the request succeeds, the new key opens the session. Otherwise the old one still does."""

    def change() -> Any:
        session = engine.Store(stored(engine, **OLD).session_key)
        session["b"] = 2
        return session, session.session_key

    def cycle(session_and_key: Any) -> None:
        session_and_key[0].cycle_key()

    opened = []
    for (session, old_key), error in dropping_each_answer(proxy, cycle, change):
        if error is None:
            session.save()
            opened.append(opens(engine, session.session_key, NEW))
        else:
            # The response is an error, so the browser keeps its cookie.
            opened.append(opens(engine, old_key, OLD))
    kept(engine, all(opened), opened, ALL)
