"""What Django could not go by is left out; what is no session at all is an empty one."""

import logging
import pickle
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages import get_messages
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.middleware import SessionMiddleware
from django.contrib.sessions.models import Session
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.utils import timezone
from pytest_django import Settings

from cookieproj.engines.constants import DJANGO_ENGINES, ENGINE_NAMES, OUR_ENGINES
from cookieproj.engines.merge import Data
from cookieproj.engines.validation import MAX_DEPTH, decode_valid
from tests.conftest import on
from tests.families import COOKIE_ENGINES
from tests.sites import forks


def nested(levels: int) -> Any:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def read(data: Any) -> Any:
    return decode_valid(lambda stored: stored, data)


WARNING = [(logging.WARNING, "django.security.SuspiciousSession")]


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(each.levelno, each.name) for each in caplog.records]


@pytest.mark.parametrize("data", [None, 5, "text", [], [["color", "blue"]]])
def test_what_is_no_session_is_none(data: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert read(data) is None
    assert logged(caplog) == WARNING
    assert caplog.messages == ["Session data corrupted"]


def each(key: str, *values: Any) -> list[Data]:
    return [{key: value} for value in values]


# Entries that are an error in each request by Django that goes by them, or that only reads them.
UNSOUND: list[Data] = [
    {"deep": nested(MAX_DEPTH)},
    *each("_session_expiry", "", "soon", 10**30, float("nan"), [1]),
    *each("_session_expiry", "0001-01-01T00:00:00+14:00", {"a": 1}, date.min),
    *each("_auth_user_id", "me", str(UUID(int=1)), [1], {}, "\ud800"),
    *each("_auth_user_id", float("nan"), float("inf")),
    *each("_messages", "{", "5", "[1]", '[["__json_message"]]', 5, [5], "{}x"),
    {"_messages": '[["__json_message",0,20,"\\ud800"]]'},
]


@pytest.mark.parametrize("entry", UNSOUND)
def test_an_entry_that_is_an_error_in_each_request_is_left_out_alone(
    entry: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert read({"color": "blue", "_auth_user_backend": "any"} | entry) == {
        "color": "blue",
        "_auth_user_backend": "any",
    }
    assert logged(caplog) == WARNING
    (key,) = entry
    assert repr(key) in caplog.text


def test_with_a_hash_that_cannot_be_compared_nobody_is_signed_in() -> None:
    """Django would end the whole session of whoever has an id and no hash."""
    data = {"_auth_user_id": "1", "_auth_user_hash": "\ud800", "color": "blue"}
    assert read(data) == {"_auth_user_hash": "\ud800", "color": "blue"}


SOUND: list[Any] = [
    *({}, {"color": "\ud800", "big": 10**400, "deep": nested(MAX_DEPTH - 2)}),
    *each("_session_expiry", None, 0, -60, 300, 1.5, datetime.now(UTC)),
    *each("_session_expiry", True, False, [], {}),
    {"_session_expiry": "2999-01-01T00:00:00+00:00"},
    {"_auth_user_id": "1", "_auth_user_hash": "5e", "_auth_user_backend": "any"},
    *each("_auth_user_id", None, True, 1.5, 10**30, "9" * 40),
    {"_messages": '[["__json_message",0,20,"Welcome"]]'},
    *each("_messages", None, "", "[]", "null", "0", 0, [], {}),
]


@pytest.mark.parametrize("data", SOUND)
def test_what_a_site_may_keep(data: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert read(dict(data)) == data
    assert not caplog.records


USER, SHOWN = "_auth_user_id", "_messages"


@pytest.mark.parametrize(
    ("key", "value", "middleware"),
    [
        (USER, str(UUID(int=1)), "django.contrib.auth.middleware.AuthenticationMiddleware"),
        (USER, [1], "django.contrib.auth.middleware.AuthenticationMiddleware"),
        (SHOWN, [5], "django.contrib.messages.middleware.MessageMiddleware"),
        (SHOWN, {"inbox": 3}, "django.contrib.messages.middleware.MessageMiddleware"),
    ],
)
def test_what_nothing_reads_but_the_site_is_the_sites(
    settings: Settings, key: str, value: Any, middleware: str
) -> None:
    """Another site, with users of another kind, may have put it there."""
    assert read({key: value}) == {}
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != middleware]
    assert read({key: value}) == {key: value}


def test_nor_is_a_user_looked_for_where_there_is_no_model_of_one(settings: Settings) -> None:
    settings.AUTH_USER_MODEL = "nowhere.User"
    assert read({USER: "me"}) == {USER: "me"}


def test_what_another_storage_of_messages_keeps_is_its_own(settings: Settings) -> None:
    settings.MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
    assert read({SHOWN: 5}) == {SHOWN: 5}


def view(request: HttpRequest) -> HttpResponse:
    """Asks who it is, shows the messages, and changes the session."""
    shown = [f"{message.tags}{message}" for message in get_messages(request)]
    request.session["seen"] = f"{request.user}"
    return HttpResponse(request.session["color"] + "".join(shown))


def answer(engine: str, data: dict[str, Any], settings: Settings) -> str:
    settings.SESSION_ENGINE = engine
    settings.MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
    payload = import_module(engine).SessionStore().encode(data)
    expires = timezone.now() + timedelta(days=1)
    Session.objects.update_or_create(
        session_key="k" * 32, defaults={"session_data": payload, "expire_date": expires}
    )
    request = RequestFactory().get("/", headers={"cookie": f"sessionid={'k' * 32}"})
    site: Any = SessionMiddleware(AuthenticationMiddleware(MessageMiddleware(view)))
    return str(site(request).content.decode())


@pytest.mark.parametrize("entry", UNSOUND[1:])
def test_on_djangos_engine_each_of_them_is_an_error(
    entry: dict[str, Any], settings: Settings, db: None
) -> None:
    settings.SESSION_SERIALIZER = "tests.engines.test_validation.Pickles"
    data = {"color": "blue"} | entry
    assert answer(f"{OUR_ENGINES}db", data, settings) == "blue"
    stored = import_module(f"{OUR_ENGINES}db").SessionStore("k" * 32)
    assert dict(stored.items()) == {"color": "blue", "seen": "AnonymousUser"}
    with pytest.raises(Exception) as error:  # noqa: PT011 - of any kind
        answer(f"{DJANGO_ENGINES}db", data, settings)
    assert not isinstance(error.value, AssertionError)


@pytest.mark.parametrize("data", SOUND[1:])
def test_and_none_of_what_stays(data: Any, settings: Settings, db: None) -> None:
    settings.SESSION_SERIALIZER = "tests.engines.test_validation.Pickles"
    ours, djangos = (
        answer(f"{family}db", data | {"color": "blue"}, settings)
        for family in (OUR_ENGINES, DJANGO_ENGINES)
    )
    assert ours == djangos
    assert "blue" in ours


class Pickles:
    """What a site with a serializer of its own can keep: dates, and numbers that JSON has not."""

    def dumps(self, value: Any) -> bytes:
        return pickle.dumps(value)

    def loads(self, value: bytes) -> Any:
        return pickle.loads(value)


def test_what_is_too_deep_is_an_error_and_nothing_is_lost(
    profile: str, store: Callable[..., SessionBase]
) -> None:
    session = store()
    session["color"] = "blue"
    session.save()
    session["deep"] = nested(MAX_DEPTH)
    with pytest.raises(ValueError, match="at most 200 levels deep"):
        session.save()
    again = store(session.session_key)
    assert dict(again.items()) == {"color": "blue"}
    again["deep"] = nested(MAX_DEPTH - 2)
    again.save()
    assert store(again.session_key)["deep"] == nested(MAX_DEPTH - 2)


@pytest.mark.parametrize("use_tz", [True, False])
def test_a_moment_is_told_after_a_change_of_use_tz(settings: Settings, use_tz: bool) -> None:
    moments = {True: "2999-01-01T00:00:00+00:00", False: "2999-01-01T00:00:00"}
    settings.USE_TZ = not use_tz
    assert read({"_session_expiry": moments[use_tz]}) == {"_session_expiry": moments[not use_tz]}


def test_nor_is_it_moved_by_the_time_zone_of_a_visitor(settings: Settings) -> None:
    with timezone.override("Asia/Tokyo"):
        held = read({"_session_expiry": "2999-01-01T00:00:00"})
        assert held == {"_session_expiry": "2999-01-01T00:00:00+00:00"}


@on(*COOKIE_ENGINES)
def test_a_cookie_that_somebody_signed_who_could(
    profile: str, store: Callable[..., SessionBase], caplog: pytest.LogCaptureFixture
) -> None:
    data = {"_auth_user_id": "me", "color": "blue"}
    made: Any = store()
    cookie = made.make_cookie(data, timezone.now())
    assert dict(store(cookie).items()) == {"color": "blue"}
    assert caplog.messages == ["Session data corrupted: '_auth_user_id' is left out"]


@pytest.mark.parametrize("family", [OUR_ENGINES, DJANGO_ENGINES])
@pytest.mark.parametrize("name", ENGINE_NAMES)
@pytest.mark.parametrize("way", ["before setup", "no apps", "sessions alone"])
def test_a_process_without_users_reads_who_is_signed_in(
    family: str, name: str, way: str, tmp_path: Path, mongodb_url: str
) -> None:
    """A service that shares the sessions of a site; some are opened without any app at all."""
    needs_table = name in {"db", "cached_db"}
    if needs_table and way != "sessions alone":
        program = IMPORT
    else:
        program = IMPORT + (TABLE if needs_table else "") + USE
    ran = forks().run("-c", program, family + name, way, str(tmp_path), mongodb_url)
    assert (ran.returncode, ran.stderr) == (0, "")


IMPORT = """
import sys
import warnings
from importlib import import_module
import django
from django.conf import settings
warnings.simplefilter("error")
engine, way, folder, mongodb_url = sys.argv[1:]
settings.configure(
    SECRET_KEY="secret", SESSION_ENGINE=engine, SESSION_FILE_PATH=folder,
    SESSION_MONGODB_URL=mongodb_url,
    INSTALLED_APPS=["django.contrib.sessions"] if way == "sessions alone" else [],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
if way != "before setup":
    django.setup()
Store = import_module(engine).SessionStore
"""

TABLE = """
from django.core.management import call_command
call_command("migrate", verbosity=0)
"""

USE = """
data = {"_auth_user_id": "me", "_auth_user_hash": "5e", "_messages": "{", "color": "blue"}
session = Store()
session.update(data)
session.save()
again = Store(session.session_key)
assert dict(again.items()) == data, dict(again.items())
again["color"] = "red"
again.save()
third = Store(again.session_key)
assert dict(third.items()) == data | {"color": "red"}, dict(third.items())
third.cycle_key()
third.save()
assert not third.is_empty()
third.flush()
"""
