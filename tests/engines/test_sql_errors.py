"""Each error of a database says what to do, and disappears with its cause."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.db import DatabaseError, close_old_connections, connection, transaction
from django.test import RequestFactory

from cookieproj.engines.exceptions import (
    StoreError,
    StoreFullError,
    StoreMisconfiguredError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from cookieproj.engines.middleware import store_error_response
from tests.conftest import administered

from .contract import Engine, on_engines

pytestmark = on_engines(lambda engine: bool(engine.database))

on_ours = on_engines(lambda engine: engine.ours and engine.name == "db")


def on_our(*databases: str) -> pytest.MarkDecorator:
    return on_engines(
        lambda engine: engine.ours and engine.name == "db" and engine.database in databases
    )


@pytest.fixture
def administer(engine: Engine, request: pytest.FixtureRequest) -> Iterator[Callable[[str], object]]:
    """Return a function that executes a statement as administrator."""
    url = request.getfixturevalue(f"{engine.database}_sessions_url")
    with administered(url) as execute:
        yield execute


@contextmanager
def reconnecting(**changed: Any) -> Iterator[None]:
    """Use a new connection with these database settings until the block ends."""
    connection.close()
    with mock.patch.dict(connection.settings_dict, changed):
        yield
        connection.close()


def stored(engine: Engine, **data: Any) -> Any:
    session = engine.Store()
    session.update(data)
    session.save()
    return session


def save(engine: Engine, session_key: str) -> None:
    session = engine.Store(session_key)
    session["b"] = session.get("b", 0) + 1
    session.save()


@contextmanager
def without_table(execute: Callable[[str], object]) -> Iterator[None]:
    execute("ALTER TABLE django_session RENAME TO moved_away")
    try:
        yield
    finally:
        execute("ALTER TABLE moved_away RENAME TO django_session")


@on_our("sqlite", "postgresql", "mariadb")
def test_missing_table_says_to_migrate(engine: Engine) -> None:
    session = stored(engine, a=1)

    def execute(statement: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)

    with without_table(execute):
        for act in (session.load, session.save, session.delete, engine.Store().create):
            with pytest.raises(StoreMisconfiguredError, match=r"Run manage\.py migrate\.") as error:
                act()
            assert isinstance(error.value.__cause__, DatabaseError)
        with pytest.raises(StoreMisconfiguredError):
            engine.Store.clear_expired()
    save(engine, stored(engine, a=1).session_key)


@on_our("sqlite", "postgresql", "mariadb")
def test_error_and_log_contain_no_part_of_session_key(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    key = stored(engine, a=1).session_key

    def execute(statement: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)

    with without_table(execute):
        for act in (engine.Store(key).load, engine.Store(key).delete):
            with pytest.raises(StoreMisconfiguredError) as error:
                act()
            assert "django_session" in error.value.reason
            assert key[:8] not in str(error.value)
            assert store_error_response(RequestFactory().get("/"), error.value).status_code == 503
    assert "Run manage.py migrate." in caplog.text
    assert key[:8] not in caplog.text


@on_our("sqlite", "postgresql", "mariadb")
def test_missing_column_says_to_migrate(engine: Engine) -> None:
    key = stored(engine, a=1).session_key
    sql = mock.PropertyMock()
    with mock.patch("cookieproj.engines.sql_statements.Table._sql", sql) as statements:
        statements.return_value.read = "SELECT is_none FROM django_session WHERE %s <> %s"
        with pytest.raises(StoreMisconfiguredError, match=r"Run manage\.py migrate\."):
            engine.Store(key).load()


@contextmanager
def user(execute: Callable[[str], object], engine: Engine, name: str) -> Iterator[dict[str, str]]:
    """Create a database user without privileges, and yield the settings to connect as that user."""
    definitions = {
        "postgresql": f"ROLE {name} LOGIN PASSWORD 'right'",
        "mariadb": f"USER {name} IDENTIFIED BY 'right'",
    }
    execute(f"CREATE {definitions[engine.database]}")
    try:
        yield {"USER": name, "PASSWORD": "right"}
    finally:
        execute(f"DROP {'ROLE' if engine.database == 'postgresql' else 'USER'} {name}")


@on_our("postgresql", "mariadb")
def test_missing_privilege_says_which_to_grant(engine: Engine, administer: Any) -> None:
    key = stored(engine, a=1).session_key
    table = "django_session"
    with user(administer, engine, "reader") as reader:
        administer(f"GRANT SELECT ON {table} TO reader")
        try:
            with reconnecting(**reader):
                assert engine.Store(key)["a"] == 1
                with pytest.raises(StoreMisconfiguredError, match=r"Grant .* UPDATE"):
                    save(engine, key)
        finally:
            administer(f"REVOKE SELECT ON {table} FROM reader")
    save(engine, key)


@on_our("postgresql", "mariadb")
def test_missing_database_says_to_create_it(engine: Engine) -> None:
    key = stored(engine, a=1).session_key
    with (
        reconnecting(NAME="nowhere"),
        pytest.raises(StoreMisconfiguredError, match="Create the database"),
    ):
        engine.Store(key).load()
    assert engine.Store(key)["a"] == 1


@on_our("postgresql", "mariadb")
def test_unknown_user_says_to_correct_user_and_password(engine: Engine) -> None:
    key = stored(engine, a=1).session_key
    with (
        reconnecting(USER="nobody_knows", PASSWORD="mistaken"),
        pytest.raises(StoreMisconfiguredError, match="the password of the database") as error,
    ):
        engine.Store(key).load()
    assert "mistaken" not in str(error.value)
    assert engine.Store(key)["a"] == 1


@on_our("mariadb")
def test_wrong_password_says_to_correct_user_and_password(engine: Engine, administer: Any) -> None:
    key = stored(engine, a=1).session_key
    with (
        user(administer, engine, "visitor") as visitor,
        reconnecting(**visitor | {"PASSWORD": "mistaken"}),
        pytest.raises(StoreMisconfiguredError, match="the password of the database"),
    ):
        engine.Store(key).load()


@on_our("sqlite")
def test_file_that_is_no_database_raises_misconfigured_error(
    engine: Engine, tmp_path: Path
) -> None:
    path = tmp_path / "text"
    path.write_text("This is a text, and a long one. " * 100)
    with (
        reconnecting(NAME=str(path), OPTIONS={}),
        pytest.raises(StoreMisconfiguredError, match="file is not a database"),
    ):
        engine.Store("k" * 32).load()


@on_engines(lambda engine: engine.ours and engine.database in {"postgresql", "mariadb"})
def test_read_only_database_raises_read_only_error_until_writable_again(
    engine: Engine, administer: Any
) -> None:
    session = stored(engine, a=1)
    with read_only(engine, administer):
        # Over a connection from before, then over a new one.
        for _connection in range(2):
            for act in (
                engine.Store().save,
                session.delete,
                lambda: save(engine, session.session_key),
            ):
                with pytest.raises(StoreReadOnlyError, match="make this server writable again"):
                    act()
            assert engine.Store(session.session_key)["a"] == 1
            connection.close()
        with pytest.raises(StoreReadOnlyError):
            session.save()
    # This connection was opened while the database was read-only.
    save(engine, session.session_key)
    assert engine.Store(session.session_key)["b"] == 1


@contextmanager
def read_only(engine: Engine, execute: Callable[[str], object]) -> Iterator[None]:
    """Make the database read-only for new connections, except the administrator's."""
    if engine.database == "postgresql":
        name = connection.settings_dict["NAME"]
        execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        connection.close()
        try:
            yield
        finally:
            # This does not change open connections, which stay read-only.
            execute("SET default_transaction_read_only = off")
            execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    else:
        with user(execute, engine, "writer") as writer:
            execute(f"GRANT ALL ON {connection.settings_dict['NAME']}.* TO writer")
            with reconnecting(**writer):
                execute("SET GLOBAL read_only = 1")
                try:
                    yield
                finally:
                    execute("SET GLOBAL read_only = 0")


# Make the connection read-only, and not the server.
SET_READ_ONLY = {
    "postgresql": "SET default_transaction_read_only = on",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
}


@on_our("postgresql", "mariadb")
def test_read_only_connection_to_writable_server_is_reopened(engine: Engine) -> None:
    """For example a connection from before a failover."""
    session = stored(engine, a=1)
    for act in (lambda: save(engine, session.session_key), engine.Store().save, session.delete):
        with connection.cursor() as cursor:
            cursor.execute(SET_READ_ONLY[engine.database])
        act()


@on_our("sqlite")
def test_read_only_sqlite_connection_is_reopened_and_read_only_file_raises_error(
    engine: Engine, settings: Any
) -> None:
    key = stored(engine, a=1).session_key
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA query_only = 1")
    save(engine, key)
    name = f"file:{connection.settings_dict['NAME']}?mode=ro"
    with (
        reconnecting(NAME=name, OPTIONS={"uri": True}),
        pytest.raises(StoreReadOnlyError, match="readonly database"),
    ):
        save(engine, key)
    save(engine, key)


@on_our("postgresql", "mariadb")
def test_read_only_connection_in_transaction_is_reopened_after_it(engine: Engine) -> None:
    key = stored(engine, a=1).session_key
    with reconnecting(CONN_MAX_AGE=None):
        with connection.cursor() as cursor:
            cursor.execute(SET_READ_ONLY[engine.database])
        for outcome in (pytest.raises(StoreReadOnlyError), nullcontext()):
            # Django does this before each request.
            close_old_connections()
            # Like ATOMIC_REQUESTS.
            with outcome, transaction.atomic():
                save(engine, key)
    assert engine.Store(key)["b"] == 1


@on_our("sqlite")
def test_full_sqlite_file_raises_store_full_error(engine: Engine) -> None:
    key = stored(engine, a=1).session_key
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA max_page_count = 1")
    with pytest.raises(StoreFullError, match="database or disk is full"):
        fill(engine)
    assert engine.Store(key)["a"] == 1
    engine.Store(key).delete()


@pytest.fixture
def disk(server_folder: Path) -> Iterator[Path]:
    """The folder of a small file system that PostgreSQL may write to."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system that is small enough to be filled")
    path = server_folder / "disk"
    path.mkdir()
    owner = (server_folder / "data").stat()
    options = f"size=1m,mode=700,uid={owner.st_uid},gid={owner.st_gid}"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        path.rmdir()
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(mounted.stderr)
    yield path
    # Lazily, since the server may still have open files there.
    subprocess.run(["umount", "--lazy", str(path)], check=True)
    path.rmdir()


@on_our("postgresql")
def test_full_disk_raises_store_full_error_and_allows_delete(
    engine: Engine, administer: Any, disk: Path
) -> None:
    with without_table(administer):
        administer(f"CREATE TABLESPACE small LOCATION '{disk}'")
        administer("CREATE TABLE django_session (LIKE moved_away INCLUDING ALL) TABLESPACE small")
        try:
            check_full(engine)
        finally:
            administer("DROP TABLE django_session")
            administer("DROP TABLESPACE small")


@on_our("mariadb")
def test_full_table_raises_store_full_error_and_allows_delete(
    engine: Engine, administer: Any
) -> None:
    """A MyISAM table can have a limit. On a full disk, InnoDB would stop the server."""
    with without_table(administer):
        administer(
            "CREATE TABLE django_session (session_key varchar(40) PRIMARY KEY,"
            " session_data longtext NOT NULL, expire_date datetime(6) NOT NULL)"
            " ENGINE = MyISAM MAX_ROWS = 10 AVG_ROW_LENGTH = 10"
        )
        try:
            check_full(engine)
        finally:
            administer("DROP TABLE django_session")


def check_full(engine: Engine) -> None:
    session = stored(engine, a=1)
    with pytest.raises(StoreFullError, match=r"space|full"):
        fill(engine)
    assert engine.Store(session.session_key)["a"] == 1
    session.delete()
    assert "a" not in engine.Store(session.session_key)


def fill(engine: Engine) -> None:
    while True:
        stored(engine, text=os.urandom(20_000).hex())


@on_ours
def test_refused_connection_raises_store_unavailable_error(engine: Engine) -> None:
    with (
        reconnecting(NAME="/nowhere/at/all", OPTIONS={}, HOST="127.0.0.1", PORT="1"),
        pytest.raises(StoreUnavailableError) as error,
    ):
        engine.Store("k" * 32).load()
    assert type(error.value) is StoreUnavailableError
    assert isinstance(error.value, StoreError)
