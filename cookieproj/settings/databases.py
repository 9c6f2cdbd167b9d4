"""DATABASE_URL taken apart: what stands in it wins over each default of ours."""

from importlib.util import find_spec
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from .environment import env
from .store_url import UNREADABLE, Known, StoreURL, options_in, read
from .values import number, one_of, switch

Database = dict[str, Any]


def _age(text: str) -> int | None:
    """Seconds; None is for good, as in Django's own settings."""
    return None if text.lower() == "none" else number(text)


def _literal(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdecimal() else text


# By the last word of Django's name for it.
ENGINES = {
    "mysql": "mysql",
    "postgis": "postgresql",
    "postgresql": "postgresql",
    "spatialite": "sqlite3",
    "sqlite3": "sqlite3",
}

# Of Django, beside NAME and HOST: https://docs.djangoproject.com/en/stable/ref/settings/#databases
DJANGOS: Known = {
    "atomic_requests": switch,
    "autocommit": switch,
    "conn_health_checks": switch,
    "conn_max_age": _age,
    "disable_server_side_cursors": switch,
}
SQLITE: Known = {
    "cached_statements": number,
    "init_command": str,
    "timeout": number,
    "transaction_mode": one_of("DEFERRED", "IMMEDIATE", "EXCLUSIVE"),
}
# Beside those of libpq.
POSTGRESQL: Known = {
    "assume_role": str,
    "isolation_level": _literal,
    "pool": switch,
    "prepare_threshold": _literal,
    "server_side_binding": switch,
}
# Of mysqlclient and of PyMySQL, as far as a URL can say them.
MYSQL: Known = dict.fromkeys(
    (
        *("auth_plugin", "bind_address", "charset", "collation", "compress", "connect_timeout"),
        *("init_command", "isolation_level", "local_infile", "max_allowed_packet"),
        *("program_name", "read_default_file", "read_default_group", "read_timeout"),
        *("server_public_key", "server_public_key_path", "sql_mode", "ssl_ca", "ssl_cert"),
        *("ssl_disabled", "ssl_key", "ssl_key_password", "ssl_mode", "ssl_verify_cert"),
        *("ssl_verify_identity", "unix_socket", "use_unicode", "write_timeout"),
    ),
    _literal,
)

# A server that is silent is away, and keeps no worker waiting: seconds to be connected, and
# milliseconds until a connection is given up over which nothing arrives any more.
TIMEOUTS: dict[str, dict[str, int]] = {
    "mysql": {"connect_timeout": 2},
    "postgresql": {"connect_timeout": 2, "tcp_user_timeout": 5000},
}
# Seconds to wait for one of the pool, which would be 30.
POOL = {"timeout": 5}

SQLITE_OPTIONS = {
    # Readers go on while one writes, and a transaction that will write takes its
    # turn at its start: begun as a reader it could only fail with "database is locked".
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
}


def database(url: str) -> Database:
    """The database ``default`` for a URL, such as postgres://host/name?conn_max_age=0.

    Under ASGI, where each request has a thread of its own, connections that stay open pile
    up: ``conn_max_age=0`` closes each, ``pool=true`` keeps a few for all (PostgreSQL alone).

    Raises ImproperlyConfigured for what is no such URL, and for an option that it does not know.
    """
    scheme = url.partition("://")[0].lower()
    if "://" not in url or scheme not in env.DB_SCHEMES:
        raise ImproperlyConfigured(
            "DATABASE_URL names no database: sqlite:///path, postgres://user:password@host/name "
            "or mysql://user:password@host/name."
        )
    bare, _, query = url.partition("?")
    try:
        # The path of a SQLite file may hold anything.
        parts = StoreURL(scheme, options=options_in(query)) if scheme == "sqlite" else read(url)
        return _completed(_place(bare), parts)
    except ValueError as error:
        raise ImproperlyConfigured(f"DATABASE_URL: {error}.") from None


def _place(bare: str) -> Database:
    try:
        found: Database = env.db_url_config(bare)
    except ValueError:
        # After a forgotten "@host" it repeats the password, as a port that is none.
        raise ValueError(UNREADABLE) from None
    return found


def _completed(found: Database, url: StoreURL) -> Database:
    engine = ENGINES.get(found["ENGINE"].rpartition(".")[2], "")
    options = url.choose(_known(engine, url) | DJANGOS)
    found |= {name.upper(): options.pop(name) for name in DJANGOS if name in options}
    if engine == "sqlite3":
        return found | {"OPTIONS": SQLITE_OPTIONS | options}
    if options.pop("pool", False):
        options |= _pool(found)
    age = 0 if "pool" in options else 60
    options = TIMEOUTS.get(engine, {}) | options
    return {"CONN_MAX_AGE": age, "CONN_HEALTH_CHECKS": True, **found, "OPTIONS": options}


def _known(engine: str, url: StoreURL) -> Known:
    match engine:
        case "sqlite3":
            return SQLITE
        case "postgresql":
            return dict.fromkeys(_of_libpq(), _literal) | POSTGRESQL
        case "mysql":
            return MYSQL
        case _:
            # Its driver knows them, and refuses others.
            return dict.fromkeys(url.options, _literal)


def _of_libpq() -> list[str]:
    # Here, since sites on another database need no psycopg.
    from psycopg import pq  # noqa: PLC0415

    return [option.keyword.decode() for option in pq.Conninfo.get_defaults()]


def _pool(found: Database) -> dict[str, Any]:
    if found.get("CONN_MAX_AGE", 0) != 0:
        raise ValueError("pool=true keeps connections itself, so it takes no conn_max_age but 0")
    if find_spec("psycopg_pool") is None:
        raise ValueError("pool=true needs the package psycopg-pool: pip install 'psycopg[pool]'")
    return {"pool": POOL}
