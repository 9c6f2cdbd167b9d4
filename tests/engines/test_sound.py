"""What cannot be a session is an empty one, and a line in the log."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.sessions.backends.base import SessionBase
from django.utils import timezone
from pytest_django import Settings

from cookieproj.engines.sound import checked
from tests.conftest import on


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else []


def read(data: Any) -> Any:
    return checked(lambda stored: stored, data)


UNSOUND: list[Any] = [
    *(None, 5, "text", [], [["color", "blue"]], {"deep": nested(200)}),
    *({"_session_expiry": value} for value in ("", "soon", True, 10**30, float("nan"))),
    {"_session_expiry": [1]},
    *({"_session_expiry": "0001-01-01T00:00:00+14:00"}, {"_session_expiry": {}}),
    *({"_auth_user_id": value} for value in ("me", True, 1.5, [1], "\ud800")),
    {"_auth_user_id": "1", "_auth_user_hash": "\ud800"},
]


@pytest.mark.parametrize("data", UNSOUND)
def test_what_django_could_not_go_by(data: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert read(data) is None
    assert [(each.levelno, each.getMessage()) for each in caplog.records] == [
        (logging.WARNING, "Session data corrupted")
    ]


SOUND: list[Any] = [
    *({}, {"color": "\ud800", "big": 10**400, "deep": nested(190)}),
    *({"_session_expiry": value} for value in (None, 0, -60, 300, 1.5, datetime.now(UTC))),
    {"_session_expiry": "2999-01-01T00:00:00+00:00"},
    {"_auth_user_id": "1", "_auth_user_hash": "5e", "_auth_user_backend": "any"},
    {"_messages": '[["__json_message",0,20,"Welcome"]]'},
]


@pytest.mark.parametrize("data", SOUND)
def test_what_a_site_may_keep(data: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert read(dict(data)) == data
    assert not caplog.records


@pytest.mark.parametrize("value", ["{", "5", "[1]", '[["__json_message"]]', 5, [5]])
def test_messages_that_are_none_are_left_out(value: Any, settings: Settings) -> None:
    data = {"color": "blue", "_messages": value}
    assert read(dict(data)) == {"color": "blue"}
    settings.MESSAGE_STORAGE = "some.other.Storage"
    assert read(dict(data)) == data


def test_what_is_too_deep_is_an_error_and_nothing_is_lost(
    profile: str, store: Callable[..., SessionBase]
) -> None:
    session = store()
    session["color"] = "blue"
    session.save()
    session["deep"] = nested(200)
    with pytest.raises(ValueError, match="no more than 200"):
        session.save()
    again = store(session.session_key)
    assert dict(again.items()) == {"color": "blue"}
    again["deep"] = nested(190)
    again.save()
    assert store(again.session_key)["deep"] == nested(190)


@pytest.mark.parametrize("use_tz", [True, False])
def test_a_moment_is_told_after_a_change_of_use_tz(settings: Settings, use_tz: bool) -> None:
    moments = {True: "2999-01-01T00:00:00+00:00", False: "2999-01-01T00:00:00"}
    settings.USE_TZ = not use_tz
    assert read({"_session_expiry": moments[use_tz]}) == {"_session_expiry": moments[not use_tz]}


def test_nor_is_it_moved_by_the_time_zone_of_a_visitor(settings: Settings) -> None:
    with timezone.override("Asia/Tokyo"):
        held = read({"_session_expiry": "2999-01-01T00:00:00"})
        assert held == {"_session_expiry": "2999-01-01T00:00:00+00:00"}


@on("signed_cookies")
def test_a_cookie_that_somebody_signed_who_could(
    profile: str, store: Callable[..., SessionBase], caplog: pytest.LogCaptureFixture
) -> None:
    session = store()
    session["_auth_user_id"] = "me"
    session.save()
    assert dict(store(session.session_key).items()) == {}
    assert caplog.messages == ["Session data corrupted"]
