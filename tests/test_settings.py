"""Profiles, CACHE_URL, DATABASE_URL and other environment variables."""

import os
import stat
import subprocess
import sys
from ast import literal_eval
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.contrib.sessions.backends.cache import SessionStore as CacheStore
from django.core.cache import caches as connections
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from cookieproj.engines.checks import session_files_are_private, sessions_outlive_the_process
from cookieproj.engines.handover_checks import (
    handover_is_possible,
    previous_sessions_have_not_ended,
    sessions_are_pickled,
)
from cookieproj.profiles import PROFILES, settings_module, use_profile
from cookieproj.settings.caches import caches, previous_cache

from .conftest import copied, forget_folder
from .servers import free_port
from .sites import ROOT, forks, manage, python

JSON = {"SERIALIZER": "django_redis.serializers.json.JSONSerializer"}
PRODUCTION = {
    "DEBUG": "off",
    "SECRET_KEY": "a-long-and-random-text-that-only-this-test-knows-4u8s9d7f6g5h4j3k2l1",
    "ALLOWED_HOSTS": "example.com",
    "CACHE_URL": "redis://127.0.0.1:1/0",
    "MONGODB_URL": "mongodb://127.0.0.1:1/site",
}


def value_of(setting: str, **environment: str) -> str:
    """Read a setting without a command, which takes much longer."""
    code = "from cookieproj.profiles import use_profile; use_profile()"
    result = forks().run("-c", f"{code}; {code_to_print(setting)}", **environment)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def code_to_print(setting: str) -> str:
    return f"from django.conf import settings; print(settings.{setting})"


@pytest.mark.parametrize("profile", PROFILES)
def test_profile_sets_its_engine(profile: str) -> None:
    engine = f"cookieproj.engines.{profile}"
    assert value_of("SESSION_ENGINE", SESSION_PROFILE=profile) == engine
    settings = f"--settings=cookieproj.settings.{profile}"
    command = ("shell", "--no-imports", "-c", code_to_print("SESSION_ENGINE"))
    assert manage(*command, settings, SESSION_PROFILE="db").stdout.strip() == engine


@pytest.mark.parametrize("profile", PROFILES)
def test_session_engine_in_environment_overrides_the_profile(profile: str) -> None:
    engine = "django.contrib.sessions.backends.db"
    assert value_of("SESSION_ENGINE", SESSION_PROFILE=profile, SESSION_ENGINE=engine) == engine
    # A caching engine does not use the site's own cache.
    assert value_of("SESSION_CACHE_ALIAS", SESSION_PROFILE=profile) == "sessions"


@pytest.mark.parametrize("engine", ["no.such.engine", "json", "db"])
def test_invalid_session_engine_is_an_error(engine: str, tmp_path: Path) -> None:
    result = manage("check", SESSION_ENGINE=engine)
    assert result.returncode == 1
    assert f"(engines.E001) SESSION_ENGINE = '{engine}' is no session engine" in result.stderr
    assert "cookieproj.engines.db" in result.stderr
    assert "Traceback" not in result.stderr


def test_default_profile_is_db() -> None:
    assert value_of("SESSION_ENGINE").endswith(".db")


@pytest.mark.parametrize("profile", PROFILES)
def test_profile_has_at_most_ten_lines(profile: str) -> None:
    path = ROOT / "cookieproj" / "settings" / f"{profile}.py"
    assert len(path.read_text().splitlines()) <= 10


def test_unknown_profile_is_a_one_line_error_that_lists_all() -> None:
    result = manage("check", SESSION_PROFILE="redis")
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "'redis'" in line
    assert ", ".join(PROFILES) in line
    with pytest.raises(ImproperlyConfigured):
        settings_module("redis")


def test_traceback_option_prints_a_traceback() -> None:
    assert "Traceback" in manage("check", "--traceback", SESSION_PROFILE="redis").stderr


def test_profile_overrides_settings_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "somebody.elses")
    monkeypatch.setenv("SESSION_PROFILE", "file")
    use_profile()
    assert os.environ["DJANGO_SETTINGS_MODULE"] == "cookieproj.settings.file"


def test_settings_module_is_kept_without_profile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "somebody.elses")
    monkeypatch.delenv("SESSION_PROFILE", raising=False)
    use_profile()
    assert os.environ["DJANGO_SETTINGS_MODULE"] == "somebody.elses"


@pytest.mark.parametrize("profile", PROFILES)
def test_production_passes_check_deploy(profile: str, tmp_path: Path) -> None:
    result = manage(
        "check",
        "--deploy",
        "--fail-level=INFO",
        SESSION_PROFILE=profile,
        SESSION_FILE_PATH=str(tmp_path / "sessions"),
        **PRODUCTION,
    )
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    # The two warn that HSTS is off for subdomains and preload, which the operator decides.
    assert result.stdout == "System check identified no issues (2 silenced).\n"


@pytest.mark.parametrize("missing", ["SECRET_KEY", "ALLOWED_HOSTS"])
def test_production_refuses_defaults_of_development(missing: str) -> None:
    result = manage(
        "check", **{name: value for name, value in PRODUCTION.items() if name != missing}
    )
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert f"Set {missing}" in line or f"{missing} is empty" in line


HSTS = "SECURE_HSTS_SECONDS, settings.SECURE_HSTS_INCLUDE_SUBDOMAINS, settings.SECURE_HSTS_PRELOAD"


def test_hsts_is_for_an_hour_and_this_host_by_default() -> None:
    assert value_of(HSTS, **PRODUCTION) == "3600 False False"
    more = {
        "SECURE_HSTS_SECONDS": "31536000",
        "SECURE_HSTS_INCLUDE_SUBDOMAINS": "on",
        "SECURE_HSTS_PRELOAD": "on",
    }
    assert value_of(HSTS, **PRODUCTION, **more) == "31536000 True True"
    assert value_of(HSTS, **PRODUCTION, SECURE_HSTS_SECONDS="0") == "0 False False"


def test_hsts_off_is_a_warning() -> None:
    result = manage("check", "--deploy", SECURE_HSTS_SECONDS="0", **PRODUCTION)
    assert "security.W004" in result.stderr


@pytest.mark.parametrize(
    ("variable", "text", "default", "value"),
    [
        (
            "CSRF_TRUSTED_ORIGINS",
            "https://a.example,https://*.b.example",
            "[]",
            "['https://a.example', 'https://*.b.example']",
        ),
        ("USE_X_FORWARDED_HOST", "on", "False", "True"),
        ("SESSION_COOKIE_AGE", "3600", "1209600", "3600"),
        ("SESSION_COOKIE_DOMAIN", "example.com", "None", "example.com"),
        ("SESSION_EXPIRE_AT_BROWSER_CLOSE", "on", "False", "True"),
        ("SESSION_SAVE_EVERY_REQUEST", "on", "False", "True"),
        ("SESSION_IDLE_AGE", "600", "None", "600"),
        ("SESSION_ABSOLUTE_AGE", "600", "None", "600"),
        ("SESSION_RENEW_AGE", "600", "None", "600"),
        ("DEVICES_LIMIT", "1", "None", "1"),
        ("DEVICES_ASK_PASSWORD_AFTER", "60", "None", "60"),
        ("SESSION_ASVS_LEVEL", "1", "None", "1"),
        ("SESSION_NIST_AAL", "1", "None", "1"),
    ],
)
def test_setting_is_read_from_environment(
    variable: str, text: str, default: str, value: str
) -> None:
    assert value_of(variable) == default
    assert value_of(variable, **{variable: text}) == value


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SESSION_IDLE_AGE", "3600"),
        ("SESSION_ABSOLUTE_AGE", "86400"),
        ("DEVICES_LIMIT", "10"),
        ("DEVICES_ASK_PASSWORD_AFTER", "300"),
    ],
)
def test_production_ends_and_limits_sessions_unless_turned_off(variable: str, value: str) -> None:
    assert value_of(variable, **PRODUCTION) == value
    assert value_of(variable, **PRODUCTION, **{variable: "0"}) == "None"


def test_production_on_djangos_engine_has_no_timeouts() -> None:
    engine = {"SESSION_ENGINE": "django.contrib.sessions.backends.db"}
    assert value_of("SESSION_IDLE_AGE", **PRODUCTION, **engine) == "None"
    assert value_of("SESSION_ABSOLUTE_AGE", **PRODUCTION, **engine) == "None"
    assert value_of("SESSION_IDLE_AGE", **PRODUCTION, **engine, SESSION_IDLE_AGE="60") == "60"


@pytest.mark.parametrize(
    "variable", ["SECRET_KEY_FALLBACKS", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS"]
)
def test_blanks_and_empty_names_in_lists_are_ignored(variable: str) -> None:
    text = " https://a.example, https://b.example ,,"
    if variable == "ALLOWED_HOSTS":
        text = text.replace("https://", "")
    names = text.replace(" ", "").rstrip(",").split(",")
    assert value_of(variable, **{variable: text}) == str(names)
    assert value_of(variable, **{variable: " "}) == "[]"


@pytest.mark.parametrize(
    "host",
    ["https://example.com", "example.com:8000", "example.com/", "[::1]:8000", "::1"],
)
def test_invalid_allowed_host_is_a_one_line_error(host: str) -> None:
    result = manage("check", ALLOWED_HOSTS=f"example.org,{host}")
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "ALLOWED_HOSTS" in line
    assert f"'{host}'" in line


def test_allowed_hosts_may_be_patterns_and_addresses() -> None:
    hosts = ["*", ".example.com", "10.0.0.1", "[::1]"]
    assert value_of("ALLOWED_HOSTS", ALLOWED_HOSTS=",".join(hosts)) == str(hosts)


def test_empty_session_engine_is_a_one_line_error() -> None:
    result = manage("check", SESSION_ENGINE="")
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "SESSION_ENGINE is empty. Name an engine, or unset it." in line


def test_cookie_name_of_session_cookie_with_domain_has_secure_prefix() -> None:
    assert value_of("SESSION_COOKIE_NAME", **PRODUCTION) == "__Host-sessionid"
    of_domain = PRODUCTION | {"SESSION_COOKIE_DOMAIN": "example.com"}
    assert value_of("SESSION_COOKIE_NAME", **of_domain) == "__Secure-sessionid"
    result = manage("check", **of_domain)
    assert (result.returncode, result.stderr) == (0, "")
    result = manage("check", **PRODUCTION, SESSION_COOKIE_DOMAIN="example.org")
    assert result.returncode == 1
    assert "(cookies.E003)" in result.stderr


CACHED = [
    {"SESSION_PROFILE": "cache"},
    {"SESSION_PROFILE": "cached_db"},
    {"SESSION_ENGINE": "django.contrib.sessions.backends.cache"},
]
NO_CACHE = {name: value for name, value in PRODUCTION.items() if not name.endswith("_URL")}


SERVERS = {
    "check": ["manage.py", "check"],
    "runserver": ["manage.py", "runserver", "--noreload"],
    "gunicorn": ["-m", "gunicorn", "cookieproj.wsgi", "--bind"],
}


@pytest.mark.parametrize(
    ("server", "chosen"),
    [
        # Each reads the same settings, so a few combinations are enough.
        pytest.param(server, chosen, marks=[pytest.mark.matrix] if number % 4 else [])
        for number, (server, chosen) in enumerate(product(SERVERS, CACHED))
    ],
)
def test_missing_cache_url_in_production_is_an_error(server: str, chosen: dict[str, str]) -> None:
    address = [] if server == "check" else [f"127.0.0.1:{free_port()}"]
    # A server that starts runs into the time-out, which is an error.
    result = subprocess.run(
        python(*SERVERS[server], *address, **NO_CACHE, **chosen),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode != 0
    assert "CACHE_URL is not set. Set it to redis://" in result.stderr
    assert "CACHE_URL=locmem:// keeps them" in result.stderr
    if server != "gunicorn":
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("chosen", CACHED)
def test_locmem_cache_url_in_production_is_a_warning(chosen: dict[str, str]) -> None:
    result = manage("check", **NO_CACHE, **chosen, CACHE_URL="locmem://")
    assert result.returncode == 0
    assert "(engines.W001)" in result.stderr


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mariadb://root@127.0.0.1:1/shop", "Can't connect to MySQL server on '127.0.0.1'"),
        ("postgres://root@127.0.0.1:1/shop", "connection failed: "),
        ("sqlite:////nowhere/db.sqlite3", "unable to open database file"),
    ],
)
def test_unreachable_database_is_one_line_with_the_variable(url: str, reason: str) -> None:
    result = manage("migrate", DATABASE_URL=url)
    assert result.returncode == 1
    [line] = result.stderr.splitlines()
    assert line.startswith(f"manage.py: DATABASE_URL: {reason}")


def test_missing_mongodb_url_in_production_is_an_error() -> None:
    result = manage("check", **NO_CACHE, SESSION_PROFILE="mongodb")
    assert result.returncode != 0
    assert "MONGODB_URL is not set. Set it to mongodb://" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("profile", ["db", "file", "signed_cookies"])
def test_profiles_without_cache_need_no_cache_url(profile: str, tmp_path: Path) -> None:
    folder = str(tmp_path / "sessions")
    result = manage("check", SESSION_PROFILE=profile, SESSION_FILE_PATH=folder, **NO_CACHE)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("setting", ["SESSION_COOKIE", "CSRF_COOKIE"])
def test_cookies_in_production_are_secure_httponly_and_lax(setting: str) -> None:
    flags = ", settings.".join(f"{setting}_{flag}" for flag in ("SECURE", "HTTPONLY", "SAMESITE"))
    assert value_of(flags, **PRODUCTION) == "True True Lax"


def test_file_profile_creates_private_folder(tmp_path: Path) -> None:
    folder = tmp_path / "below" / "sessions"
    manage("check", SESSION_PROFILE="file", SESSION_FILE_PATH=str(folder))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_sqlite_uses_wal_and_immediate_transactions(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'db.sqlite3'}"
    code = (
        "from django.db import connection as c; q = c.cursor();"
        "print(q.execute('PRAGMA journal_mode').fetchone()[0],"
        " c.transaction_mode)"
    )
    result = manage("shell", "--no-imports", "-c", code, DATABASE_URL=url)
    assert result.stdout.strip() == "wal IMMEDIATE", result.stderr


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("postgres://host/name", {"connect_timeout": 2, "tcp_user_timeout": 5000}),
        (
            "postgres://host/name?connect_timeout=9&tcp_user_timeout=99",
            {"connect_timeout": 9, "tcp_user_timeout": 99},
        ),
        ("mysql://host/name?charset=utf8mb4", {"connect_timeout": 2, "charset": "utf8mb4"}),
    ],
)
def test_databases_have_default_timeouts(url: str, options: dict[str, Any]) -> None:
    # Without Django, which would import the driver.
    code = "from cookieproj.settings import base; print(base.DATABASES['default']['OPTIONS'])"
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=True,
    )
    assert literal_eval(result.stdout) == options


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"DATABASE_URL": "nonsense"}, "DATABASE_URL names no database"),
        ({"DATABASE_URL": "postgres://u:secret/s@host/name"}, '"/" is written "%2F"'),
        ({"DATABASE_URL": "nonsense://host/name"}, "DATABASE_URL names no database: sqlite:///"),
        ({"DATABASE_URL": "postgres://u:a@b#secret/d@host/name"}, '"#" "%23"'),
        ({"DATABASE_URL": "postgres://u:a@b?secret@host/name"}, '"?" "%3F"'),
        ({"DATABASE_URL": "postgres://u:secret@127.0.0.1:1/name"}, "Connection refused"),
        ({"DATABASE_URL": "sqlite:////nowhere/db.sqlite3"}, "unable to open database file"),
        (
            {"SESSION_PROFILE": "file", "SESSION_FILE_PATH": "/dev/null"},
            "SESSION_FILE_PATH cannot be a folder",
        ),
        ({"SESSION_FILE_PATH": ""}, "SESSION_FILE_PATH is empty"),
        ({"SECRET_KEY": ""}, "Set it to a long random text"),
        (PRODUCTION | {"SECRET_KEY": ""}, "Set it to a long random text"),
        ({"DEVICES_PROXIES": "x"}, "DEVICES_PROXIES: it takes a whole number, not 'x'"),
        ({"DEVICES_PROXIES": "-1"}, "DEVICES_PROXIES: it takes a whole number, not '-1'"),
        ({"DEBUG": "maybe"}, "DEBUG: 'maybe' is neither on nor off"),
        ({"DEMO_SESSION_IN_PATH": "maybe"}, "DEMO_SESSION_IN_PATH: 'maybe' is neither"),
        (
            {"SESSION_COOKIE_TOO_LARGE_IS_ERROR": "maybe"},
            "SESSION_COOKIE_TOO_LARGE_IS_ERROR: 'maybe' is neither",
        ),
        ({"CACHE_URL": "redis://127.0.0.1:99999/0"}, "CACHE_URL: its port"),
        ({"CACHE_URL": "redis://127.0.0.1:1/0?colour=blue"}, "CACHE_URL: unknown option colour"),
        ({"DATABASE_URL": "postgres://host/name?colour=blue"}, "unknown option colour"),
        ({"SESSION_COOKIE_AGE": "0"}, "SESSION_COOKIE_AGE: 0 is less than 1"),
        ({"SESSION_COOKIE_AGE": "long"}, "SESSION_COOKIE_AGE: it takes a whole number"),
        ({"SESSION_SAVE_EVERY_REQUEST": "often"}, "SESSION_SAVE_EVERY_REQUEST: 'often' is neither"),
        (PRODUCTION | {"SECURE_HSTS_SECONDS": "a year"}, "SECURE_HSTS_SECONDS: it takes a whole"),
    ],
)
def test_invalid_environment_is_a_one_line_error(variables: dict[str, str], reason: str) -> None:
    result = manage("migrate", **variables)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert reason in line
    assert "secret" not in line


@pytest.mark.parametrize("scheme", ["redis", "memcached"])
def test_unreachable_cache_is_a_one_line_error(
    scheme: str, tmp_path: Path, demo_database: Path
) -> None:
    variables = {
        "DATABASE_URL": copied(demo_database, tmp_path),
        "SESSION_PROFILE": "cache",
        "CACHE_URL": f"{scheme}://127.0.0.1:1",
    }
    result = manage("demodata", **variables)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "refused" in line


@pytest.mark.parametrize(
    ("text", "value"), [("on", True), ("True", True), ("0", False), ("no", False)]
)
def test_boolean_variable_accepts_several_spellings(text: str, value: bool) -> None:
    assert value_of("DEMO_SESSION_IN_PATH", DEMO_SESSION_IN_PATH=text) == str(value)


def test_sqlite_path_may_contain_an_at_sign(tmp_path: Path) -> None:
    """In URLs of other databases it is probably a part of a password."""
    path = str(tmp_path / "a@b.sqlite3")
    assert value_of("DATABASES['default']['NAME']", DATABASE_URL=f"sqlite:///{path}") == path


def test_sessions_are_in_the_next_redis_database() -> None:
    settings = caches("redis://:secret@host:6380/3?client_name=site")
    assert settings["default"]["LOCATION"] == "redis://:secret@host:6380/3?client_name=site"
    assert settings["sessions"]["LOCATION"] == "redis://:secret@host:6380/4?client_name=site"


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_redis_values_are_json(scheme: str) -> None:
    options = caches(f"{scheme}://host")["sessions"]["OPTIONS"]
    assert options["SERIALIZER"] == "django_redis.serializers.json.JSONSerializer"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host:6379",
        "http://host/",
        "redis://host/one",
        "redis://[host/0",
        "redis://host:port/0",
        "redis://host:0/0",
        "redis://host:99999/0",
        "redis://host/0?db=5",
        "redis://",
        "redis://:secret@/0",
        "memcached://",
        "memcached://host:x",
        "memcached://host,:11211",
        "redis+sentinel:///primary/0",
        "redis+sentinel://host/primary/0?db=5",
        "redis+sentinel://host:26379",
        "redis+sentinel://host:port/primary/0",
    ],
)
def test_invalid_cache_url_is_an_error_that_lists_schemes(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"CACHE_URL: .* It takes redis://"):
        caches(url)


def test_error_does_not_repeat_password_in_place_of_port() -> None:
    with pytest.raises(ImproperlyConfigured, match="its port is no number") as error:
        caches("redis://user:secret")
    assert "secret" not in str(error.value)


def test_memcached_url_takes_no_password() -> None:
    """The password would become a part of the host name, which errors show."""
    with pytest.raises(ImproperlyConfigured, match="memcached takes no user name") as error:
        caches("memcached://user:secret@host:11211")
    assert "secret" not in str(error.value)


# Passwords with characters that have to be escaped, or that make the URL invalid.
PASSWORDS = ["hun/ter2", "hun?ter2", "hun#ter2", "hun@t/er2", "hun[ter2", "hun\u2100ter2"]


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("read", [caches, previous_cache])
@pytest.mark.parametrize("url", ["redis://:{}@host:6379/0", "memcached://user:{}@host:11211"])
def test_error_does_not_repeat_password_with_special_characters(
    read: Callable[[str], Any], url: str, password: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match='"/" is written "%2F"') as error:
        read(url.format(password))
    assert "hun" not in str(error.value)
    assert "er2" not in str(error.value)


@pytest.mark.parametrize("server", ["redis_url", "sentinel_url", "cluster_url", "memcached_url"])
def test_clearing_default_cache_deletes_no_session(
    server: str, request: pytest.FixtureRequest, settings: Settings
) -> None:
    settings.CACHES = caches(request.getfixturevalue(server))
    settings.SESSION_CACHE_ALIAS = "sessions"
    session = CacheStore()
    session["color"] = "blue"
    session.save()
    connections["default"].clear()
    assert CacheStore(session.session_key)["color"] == "blue"


def test_sessions_in_local_memory_cache_are_a_warning(settings: Settings) -> None:
    settings.CACHES = caches("locmem://")
    settings.SESSION_CACHE_ALIAS = "sessions"
    for engine, ids in {
        "db": [],
        "file": [],
        "signed_cookies": [],
        "cache": ["engines.W001"],
        "cached_db": ["engines.W001"],
    }.items():
        settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
        assert [warning.id for warning in sessions_outlive_the_process()] == ids
    settings.CACHES = caches("redis://127.0.0.1:1")
    assert sessions_outlive_the_process() == []


@pytest.mark.parametrize("engine", ["cookieproj.engines", "django.contrib.sessions.backends"])
@pytest.mark.parametrize(
    ("mode", "ids"),
    [
        (0o700, []),
        (0o755, ["engines.W004"]),
        (0o740, ["engines.W004"]),
        (0o701, ["engines.W004"]),
        (0o1777, ["engines.W004"]),
    ],
)
def test_session_folder_open_to_others_is_a_warning(
    settings: Settings, tmp_path: Path, engine: str, mode: int, ids: list[str]
) -> None:
    settings.SESSION_FILE_PATH = tmp_path
    tmp_path.chmod(mode)
    settings.SESSION_ENGINE = f"{engine}.file"
    assert [warning.id for warning in session_files_are_private()] == ids
    settings.SESSION_ENGINE = f"{engine}.db"
    assert session_files_are_private() == []


def test_missing_session_folder_is_no_warning(settings: Settings, tmp_path: Path) -> None:
    settings.SESSION_FILE_PATH = tmp_path / "nowhere"
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.file"
    assert session_files_are_private() == []


def test_default_folder_of_django_is_a_warning(settings: Settings, tmp_path: Path) -> None:
    settings.SESSION_FILE_PATH = None
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.file"
    tmp_path.chmod(0o1777)
    with mock.patch("tempfile.gettempdir", return_value=str(tmp_path)):
        [warning] = session_files_are_private()
    assert "else name another folder in SESSION_FILE_PATH" in str(warning.hint)


def test_file_profile_with_existing_open_folder_is_a_warning(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    result = manage("check", SESSION_PROFILE="file", SESSION_FILE_PATH=str(tmp_path))
    assert result.returncode == 0
    assert "(engines.W004)" in result.stderr
    assert f"chmod 700 {tmp_path}" in result.stderr


@pytest.mark.parametrize(
    ("previous", "message"),
    [
        ("dbx", "Sessions cannot be moved to or from 'dbx'"),
        ("os.path", "Sessions cannot be moved to or from 'os.path'"),
        ("db", "SESSION_HANDOVER_FROM=db. Both are db. Name the engine that ran"),
        ("file", "The session storage path"),
    ],
)
def test_impossible_handover_is_an_error(
    settings: Settings, tmp_path: Path, previous: str, message: str
) -> None:
    settings.SESSION_HANDOVER_FROM = previous
    settings.SESSION_FILE_PATH = tmp_path / "nowhere"
    forget_folder()
    [error] = handover_is_possible()
    assert error.id == "engines.E002"
    assert message in error.msg


def test_runserver_does_not_start_with_impossible_handover() -> None:
    result = manage("runserver", "--noreload", SESSION_HANDOVER_FROM="dbx")
    assert result.returncode == 1
    assert "(engines.E002)" in result.stderr
    assert "Traceback" not in result.stderr


def test_handover_needs_our_engine_but_not_our_middleware(settings: Settings) -> None:
    settings.SESSION_HANDOVER_FROM = "signed_cookies"
    assert not handover_is_possible()
    settings.MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
    assert not handover_is_possible()
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    [error] = handover_is_possible()
    assert "SESSION_ENGINE must be an engine of cookieproj.engines" in error.msg


@pytest.mark.parametrize(
    ("previous", "cache", "ids"),
    [
        ("cache", "locmem://", ["engines.W017"]),
        ("django.contrib.sessions.backends.cache", "locmem://", ["engines.W017"]),
        ("cached_db", "locmem://", []),
        ("file", "locmem://", []),
        ("cache", "redis://127.0.0.1:1", []),
        ("", "locmem://", []),
        ("dbx", "locmem://", []),
    ],
)
def test_handover_from_process_memory_is_a_warning(
    previous: str, cache: str, ids: list[str], settings: Settings
) -> None:
    settings.CACHES = caches(cache)
    settings.SESSION_HANDOVER_FROM = previous
    assert [warning.id for warning in previous_sessions_have_not_ended()] == ids


def test_handover_cache_url_is_parsed() -> None:
    cache = previous_cache("redis://127.0.0.1:6379/3?key_prefix=shop&version=2")
    assert cache["LOCATION"] == "redis://127.0.0.1:6379/3"
    assert (cache["KEY_PREFIX"], cache["VERSION"]) == ("shop", 2)
    assert cache["OPTIONS"]["SERIALIZER"].endswith("JSONSerializer")
    pickled = previous_cache("redis://127.0.0.1:6379/3?serializer=pickle")
    assert pickled["OPTIONS"]["SERIALIZER"].endswith("PickleSerializer")
    assert previous_cache("memcached://127.0.0.1:11211?key_prefix=shop")["KEY_PREFIX"] == "shop"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "redis://u:secret@127.0.0.1:6379/x",
            "the Redis database: it takes a whole number, not 'x'",
        ),
        (
            "redis://u:secret@127.0.0.1/0?serializer=yaml",
            "serializer: it takes json or pickle, not 'yaml'",
        ),
        ("redis://u:secret@127.0.0.1/0?version=one", "version: it takes a whole number, not 'one'"),
        (
            "redis://u:secret@127.0.0.1/0?prefix=shop",
            "unknown option prefix, is it key_prefix?",
        ),
        (
            "memcached://127.0.0.1:11211?serializer=json",
            "unknown option serializer",
        ),
        ("locmem://", "unknown scheme 'locmem'"),
    ],
)
def test_invalid_handover_cache_url_is_a_one_line_error(url: str, message: str) -> None:
    with pytest.raises(ImproperlyConfigured) as error:
        previous_cache(url)
    line = str(error.value)
    assert line.startswith("SESSION_HANDOVER_CACHE: ")
    assert message in line
    assert "\n" not in line
    assert "secret" not in line


@pytest.mark.parametrize(("options", "ids"), [({}, ["engines.W003"]), (JSON, [])])
def test_previous_redis_cache_with_pickle_is_a_warning(
    settings: Settings, options: dict[str, str], ids: list[str]
) -> None:
    previous = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1"}
    settings.CACHES = {**settings.CACHES, "previous": {**previous, "OPTIONS": options}}
    assert [warning.id for warning in sessions_are_pickled("previous")] == ids
    assert sessions_are_pickled("sessions") == []


def test_handover_cache_with_pickle_is_a_warning() -> None:
    result = manage(
        "check",
        SESSION_HANDOVER_FROM="cache",
        SESSION_HANDOVER_CACHE="redis://127.0.0.1:6379/3?serializer=pickle",
    )
    assert result.returncode == 0
    assert "(engines.W003)" in result.stderr
    assert "can run code here" in result.stderr
