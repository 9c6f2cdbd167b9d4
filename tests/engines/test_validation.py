"""Validation leaves out items that Django cannot use. Invalid data become an empty session."""

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
    return [(record.levelno, record.name) for record in caplog.records]


@pytest.mark.parametrize("data", [None, 5, "text", [], [["color", "blue"]]])
def test_data_that_are_no_dict_become_none(data: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert read(data) is None
    assert logged(caplog) == WARNING
    assert caplog.messages == ["Session data corrupted"]


def with_each(key: str, *values: Any) -> list[Data]:
    return [{key: value} for value in values]


# With such an item, each request that uses or only reads the session raises an error in Django.
INVALID: list[Data] = [
    {"deep": nested(MAX_DEPTH)},
    *with_each("_session_expiry", "", "soon", 10**30, float("nan"), [1]),
    *with_each("_session_expiry", "0001-01-01T00:00:00+14:00", {"a": 1}, date.min),
    *with_each("_auth_user_id", "me", str(UUID(int=1)), [1], {}, "\ud800"),
    *with_each("_auth_user_id", float("nan"), float("inf")),
    *with_each("_messages", "{", "5", "[1]", '[["__json_message"]]', 5, [5], "{}x"),
    {"_messages": '[["__json_message",0,20,"\\ud800"]]'},
]


@pytest.mark.parametrize("item", INVALID)
def test_only_invalid_item_is_left_out_and_logged(
    item: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert read({"color": "blue", "_auth_user_backend": "any"} | item) == {
        "color": "blue",
        "_auth_user_backend": "any",
    }
    assert logged(caplog) == WARNING
    (key,) = item
    assert repr(key) in caplog.text


def test_user_id_is_left_out_if_hash_cannot_be_compared() -> None:
    """Without the hash but with the id, Django would end the whole session."""
    data = {"_auth_user_id": "1", "_auth_user_hash": "\ud800", "color": "blue"}
    assert read(data) == {"_auth_user_hash": "\ud800", "color": "blue"}


VALID: list[Any] = [
    *({}, {"color": "\ud800", "big": 10**400, "deep": nested(MAX_DEPTH - 2)}),
    *with_each("_session_expiry", None, 0, -60, 300, 1.5, datetime.now(UTC)),
    *with_each("_session_expiry", True, False, [], {}),
    {"_session_expiry": "2999-01-01T00:00:00+00:00"},
    {"_auth_user_id": "1", "_auth_user_hash": "5e", "_auth_user_backend": "any"},
    *with_each("_auth_user_id", None, True, 1.5, 10**30, "9" * 40),
    {"_messages": '[["__json_message",0,20,"Welcome"]]'},
    *with_each("_messages", None, "", "[]", "null", "0", 0, [], {}),
]


@pytest.mark.parametrize("data", VALID)
def test_valid_data_are_unchanged(data: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert read(dict(data)) == data
    assert not caplog.records


USER, MESSAGES = "_auth_user_id", "_messages"


@pytest.mark.parametrize(
    ("key", "value", "middleware"),
    [
        (USER, str(UUID(int=1)), "django.contrib.auth.middleware.AuthenticationMiddleware"),
        (USER, [1], "django.contrib.auth.middleware.AuthenticationMiddleware"),
        (MESSAGES, [5], "django.contrib.messages.middleware.MessageMiddleware"),
        (MESSAGES, {"inbox": 3}, "django.contrib.messages.middleware.MessageMiddleware"),
    ],
)
def test_item_is_valid_without_middleware_that_reads_it(
    settings: Settings, key: str, value: Any, middleware: str
) -> None:
    """Another site, with another user model, may have stored it."""
    assert read({key: value}) == {}
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != middleware]
    assert read({key: value}) == {key: value}


def test_user_id_is_valid_without_user_model(settings: Settings) -> None:
    settings.AUTH_USER_MODEL = "nowhere.User"
    assert read({USER: "me"}) == {USER: "me"}


def test_messages_item_is_valid_with_other_message_storage(settings: Settings) -> None:
    settings.MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
    assert read({MESSAGES: 5}) == {MESSAGES: 5}


def view(request: HttpRequest) -> HttpResponse:
    """Read the user and the messages, and change the session."""
    messages = [f"{message.tags}{message}" for message in get_messages(request)]
    request.session["seen"] = f"{request.user}"
    return HttpResponse(request.session["color"] + "".join(messages))


def response_text(engine: str, data: dict[str, Any], settings: Settings) -> str:
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


@pytest.mark.parametrize("item", INVALID[1:])
def test_invalid_item_raises_error_on_django_engine_only(
    item: dict[str, Any], settings: Settings, db: None
) -> None:
    settings.SESSION_SERIALIZER = "tests.engines.test_validation.PickleSerializer"
    data = {"color": "blue"} | item
    assert response_text(f"{OUR_ENGINES}db", data, settings) == "blue"
    stored = import_module(f"{OUR_ENGINES}db").SessionStore("k" * 32)
    assert dict(stored.items()) == {"color": "blue", "seen": "AnonymousUser"}
    with pytest.raises(Exception) as error:  # noqa: PT011 - its type depends on the item
        response_text(f"{DJANGO_ENGINES}db", data, settings)
    assert not isinstance(error.value, AssertionError)


@pytest.mark.parametrize("data", VALID[1:])
def test_valid_data_give_same_response_on_both_engines(
    data: Any, settings: Settings, db: None
) -> None:
    settings.SESSION_SERIALIZER = "tests.engines.test_validation.PickleSerializer"
    ours, djangos = (
        response_text(f"{family}db", data | {"color": "blue"}, settings)
        for family in (OUR_ENGINES, DJANGO_ENGINES)
    )
    assert ours == djangos
    assert "blue" in ours


class PickleSerializer:
    """Can store dates and numbers that JSON cannot."""

    def dumps(self, value: Any) -> bytes:
        return pickle.dumps(value)

    def loads(self, value: bytes) -> Any:
        return pickle.loads(value)


def test_save_of_too_deep_value_raises_error_and_keeps_session(
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
def test_expiry_is_converted_after_change_of_use_tz(settings: Settings, use_tz: bool) -> None:
    moments = {True: "2999-01-01T00:00:00+00:00", False: "2999-01-01T00:00:00"}
    settings.USE_TZ = not use_tz
    assert read({"_session_expiry": moments[use_tz]}) == {"_session_expiry": moments[not use_tz]}


def test_expiry_does_not_depend_on_current_time_zone(settings: Settings) -> None:
    with timezone.override("Asia/Tokyo"):
        data = read({"_session_expiry": "2999-01-01T00:00:00"})
        assert data == {"_session_expiry": "2999-01-01T00:00:00+00:00"}


@on(*COOKIE_ENGINES)
def test_invalid_item_of_signed_cookie_is_left_out_and_logged(
    profile: str, store: Callable[..., SessionBase], caplog: pytest.LogCaptureFixture
) -> None:
    data = {"_auth_user_id": "me", "color": "blue"}
    session: Any = store()
    cookie = session.make_cookie(data, timezone.now())
    assert dict(store(cookie).items()) == {"color": "blue"}
    assert caplog.messages == ["Session data corrupted: '_auth_user_id' is left out"]


@pytest.mark.parametrize("family", [OUR_ENGINES, DJANGO_ENGINES])
@pytest.mark.parametrize("name", ENGINE_NAMES)
@pytest.mark.parametrize("apps", ["before setup", "no apps", "sessions only"])
def test_process_without_user_model_keeps_all_items(
    family: str, name: str, apps: str, tmp_path: Path, mongodb_url: str
) -> None:
    """For example a service that shares the site's sessions, even without any installed app.

    An engine with a table is only imported, unless the sessions app is installed.
    """
    needs_table = name in {"db", "cached_db"}
    if needs_table and apps != "sessions only":
        program = IMPORT
    else:
        program = IMPORT + (TABLE if needs_table else "") + USE
    ran = forks().run("-c", program, family + name, apps, str(tmp_path), mongodb_url)
    assert (ran.returncode, ran.stderr) == (0, "")


IMPORT = """
import sys
import warnings
from importlib import import_module
import django
from django.conf import settings
warnings.simplefilter("error")
engine, apps, folder, mongodb_url = sys.argv[1:]
settings.configure(
    SECRET_KEY="secret", SESSION_ENGINE=engine, SESSION_FILE_PATH=folder,
    SESSION_MONGODB_URL=mongodb_url,
    INSTALLED_APPS=["django.contrib.sessions"] if apps == "sessions only" else [],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
if apps != "before setup":
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
