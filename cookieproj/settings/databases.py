"""The setting DATABASES from DATABASE_URL. An option in the URL wins over this site's default."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from .environment import env
from .store_url import UNREADABLE, Converters, StoreURL, parse_options, parse_url
from .values import number, one_of, switch

Database = dict[str, Any]


def _connection_age(text: str) -> int | None:
    """Return seconds. None means without limit, as in Django's CONN_MAX_AGE."""
    return None if text.lower() == "none" else number(text)


def _number_or_text(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdecimal() else text


# By the last part of Django's ENGINE.
ENGINE_FAMILIES = {
    "mysql": "mysql",
    "postgis": "postgresql",
    "postgresql": "postgresql",
    "spatialite": "sqlite3",
    "sqlite3": "sqlite3",
}

# Django's own, besides NAME and HOST:
# https://docs.djangoproject.com/en/stable/ref/settings/#databases
DJANGO_OPTIONS: Converters = {
    "atomic_requests": switch,
    "autocommit": switch,
    "conn_health_checks": switch,
    "conn_max_age": _connection_age,
    "disable_server_side_cursors": switch,
}
SQLITE_OPTIONS: Converters = {
    "cached_statements": number,
    "init_command": str,
    "timeout": number,
    "transaction_mode": one_of("DEFERRED", "IMMEDIATE", "EXCLUSIVE"),
}
# Those of Django and psycopg. libpq has its own, see ``_libpq_options``.
POSTGRESQL_OPTIONS: Converters = {
    "assume_role": str,
    "isolation_level": _number_or_text,
    "pool": switch,
    "prepare_threshold": _number_or_text,
    "server_side_binding": switch,
}
# Those of mysqlclient and PyMySQL that a URL can express.
MYSQL_OPTIONS: Converters = dict.fromkeys(
    (
        *("auth_plugin", "bind_address", "charset", "collation", "compress", "connect_timeout"),
        *("init_command", "isolation_level", "local_infile", "max_allowed_packet"),
        *("program_name", "read_default_file", "read_default_group", "read_timeout"),
        *("server_public_key", "server_public_key_path", "sql_mode", "ssl_ca", "ssl_cert"),
        *("ssl_disabled", "ssl_key", "ssl_key_password", "ssl_mode", "ssl_verify_cert"),
        *("ssl_verify_identity", "unix_socket", "use_unicode", "write_timeout"),
    ),
    _number_or_text,
)

# A silent server counts as unreachable after these times, so that no worker waits longer. They are
# seconds to connect, and milliseconds until sent data must be acknowledged (tcp_user_timeout).
DEFAULT_TIMEOUTS: dict[str, dict[str, int]] = {
    "mysql": {"connect_timeout": 2},
    "postgresql": {"connect_timeout": 2, "tcp_user_timeout": 5000},
}
# Seconds to wait for a connection from the pool. The default of psycopg_pool is 30.
POOL_OPTIONS = {"timeout": 5}

SQLITE_DEFAULTS = {
    # With WAL, reads go on during a write. A transaction that will write waits for its turn at its
    # start: begun as a reader, it would fail with "database is locked".
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
}


def database(url: str) -> Database:
    """Return the database settings for a URL, such as postgres://host/name?conn_max_age=0.

    Under ASGI each request has its own thread, so connections that stay open pile up.
    ``conn_max_age=0`` closes each after its request. ``pool=true`` keeps a few for all threads
    (PostgreSQL only).

    Raises ImproperlyConfigured for other text, and for an unknown option.
    """
    scheme, separator, rest = url.partition("://")
    # MariaDB has no backend of its own in Django.
    scheme = "mysql" if scheme.lower() == "mariadb" else scheme.lower()
    url = f"{scheme}{separator}{rest}"
    if "://" not in url or scheme not in env.DB_SCHEMES:
        raise ImproperlyConfigured(
            "DATABASE_URL names no database: sqlite:///path, postgres://user:password@host/name "
            "or mysql://user:password@host/name."
        )
    location, _, query = url.partition("?")
    try:
        # The path of a SQLite file may contain any character.
        parts = (
            StoreURL(scheme, options=parse_options(query)) if scheme == "sqlite" else parse_url(url)
        )
        return _with_options(_parse_location(location), parts)
    except ValueError as error:
        raise ImproperlyConfigured(f"DATABASE_URL: {error}.") from None


def _parse_location(location: str) -> Database:
    try:
        settings: Database = env.db_url_config(location)
    except ValueError:
        # If "@host" was forgotten, the error repeats the password as an invalid port.
        raise ValueError(UNREADABLE) from None
    return settings


def _with_options(settings: Database, url: StoreURL) -> Database:
    engine = ENGINE_FAMILIES.get(settings["ENGINE"].rpartition(".")[2], "")
    options = url.convert_options(_option_converters(engine, url) | DJANGO_OPTIONS)
    settings |= {name.upper(): options.pop(name) for name in DJANGO_OPTIONS if name in options}
    if engine == "sqlite3":
        return settings | {"OPTIONS": SQLITE_DEFAULTS | options}
    if engine == "mysql":
        _load_mysql_driver()
    if options.pop("pool", False):
        options |= _pool_options(settings)
    age = 0 if "pool" in options else 60
    options = DEFAULT_TIMEOUTS.get(engine, {}) | options
    return {"CONN_MAX_AGE": age, "CONN_HEALTH_CHECKS": True, **settings, "OPTIONS": options}


def _option_converters(engine: str, url: StoreURL) -> Converters:
    match engine:
        case "sqlite3":
            return SQLITE_OPTIONS
        case "postgresql":
            return dict.fromkeys(_libpq_options(), _number_or_text) | POSTGRESQL_OPTIONS
        case "mysql":
            return MYSQL_OPTIONS
        case _:
            # Any option: the driver refuses those that it does not know.
            return dict.fromkeys(url.options, _number_or_text)


def _libpq_options() -> list[str]:
    # Imported here because sites on another database do not need psycopg.
    from psycopg import pq  # noqa: PLC0415

    return [option.keyword.decode() for option in pq.Conninfo.get_defaults()]


def _load_mysql_driver() -> None:
    """Let Django use PyMySQL, which needs no compiler, unless mysqlclient is installed."""
    if find_spec("MySQLdb"):
        return
    if find_spec("pymysql") is None:
        raise ValueError("mysql:// needs the package PyMySQL, or mysqlclient: pip install PyMySQL")
    import_module("pymysql").install_as_MySQLdb()


def _pool_options(settings: Database) -> dict[str, Any]:
    if settings.get("CONN_MAX_AGE", 0) != 0:
        raise ValueError("pool=true keeps connections itself, so it takes no conn_max_age but 0")
    if find_spec("psycopg_pool") is None:
        raise ValueError("pool=true needs the package psycopg-pool: pip install 'psycopg[pool]'")
    return {"pool": POOL_OPTIONS}
