"""``manage.py sessions``, and the options of ``manage.py signout``."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError
from django.utils import timezone
from pytest_django import Settings

from cookieproj.devices.management.commands import sessions, signout
from cookieproj.devices.models import SignedInSession
from demo.models import User
from tests.browsers import IPHONE, browser, is_in, key_of, row_of
from tests.conftest import on
from tests.families import COOKIE_ENGINES


def output_of(*command: Any) -> str:
    out = StringIO()
    call_command(*map(str, command), stdout=out)
    return out.getvalue()


def test_sessions_lists_the_devices_of_a_user(profile: str, ada: User, admin: User) -> None:
    browser(admin)
    clients = [browser(ada, IPHONE, "198.51.100.7"), browser(ada)]
    lines = output_of("sessions", "ada").splitlines()
    assert [line.split()[0] for line in lines] == [str(row_of(each).pk) for each in clients[::-1]]
    assert "ada  Mobile Safari on iOS  198.51.100.7" in lines[1]
    assert not any(key_of(each) in line for each in clients for line in lines)
    clients[0].post("/auth/sign-out/")
    assert len(output_of("sessions", "ada").splitlines()) == 1


@on("db", *COOKIE_ENGINES)
def test_sessions_lists_devices_as_json(profile: str, ada: User, admin: User) -> None:
    rows = [row_of(browser(admin)), row_of(browser(ada))]
    listed = json.loads(output_of("sessions", "admin", "ada", "--json"))
    assert [each["id"] for each in listed] == [str(row.pk) for row in rows]
    assert [each["user"] for each in listed] == ["admin", "ada"]
    assert {"key", "session_key", "sealed_key", "auth_hash"}.isdisjoint(listed[0])
    assert listed[0]["expires"].endswith("Z")


def test_sessions_of_a_signed_out_user_are_empty(ada: User) -> None:
    assert output_of("sessions", "ada") == "Signed in nowhere.\n"
    assert json.loads(output_of("sessions", "ada", "--json")) == []


@pytest.mark.parametrize("command", ["sessions", "signout"])
@pytest.mark.parametrize("name", ["nobody", "\udcff"])
def test_unknown_user_is_an_error(command: str, name: str, ada: User) -> None:
    with pytest.raises(CommandError, match="There is no user"):
        output_of(command, "ada", name)


def test_sessions_without_database_is_a_one_line_error(ada: User) -> None:
    unreachable = mock.patch(f"{sessions.__name__}.find_by_name", side_effect=OperationalError("x"))
    with unreachable, pytest.raises(CommandError, match="Could not list the sessions: x"):
        output_of("sessions", "ada")


def test_signout_all_signs_out_every_user(profile: str, ada: User, admin: User) -> None:
    clients = [browser(ada), browser(admin)]
    ended = json.loads(output_of("signout", "--all", "--json"))
    assert sorted((each["user"], each["ended"]) for each in ended) == [("ada", 1), ("admin", 1)]
    assert not any(map(is_in, clients))


@pytest.mark.parametrize("arguments", [[], ["ada", "--all"]])
def test_signout_needs_either_names_or_all(arguments: list[str], ada: User) -> None:
    with pytest.raises(CommandError, match="Name users, or use --all"):
        output_of("signout", *arguments)


def test_except_session_keeps_it_signed_in(profile: str, ada: User, admin: User) -> None:
    kept, other, admins = browser(ada), browser(ada), browser(admin)
    text = output_of("signout", "ada", "--except-session", row_of(kept).pk)
    assert text == "ada: 1 session is ended.\n"
    assert [is_in(each) for each in (kept, other, admins)] == [True, False, True]


@on("db")
def test_except_session_with_unknown_id_signs_out_nobody(profile: str, ada: User) -> None:
    client = browser(ada)
    with pytest.raises(CommandError, match=r"There is no session .*Nobody is signed out"):
        output_of("signout", "ada", "--except-session", uuid4())
    with pytest.raises(CommandError, match="not the id of a session"):
        output_of("signout", "ada", "--except-session", "x")
    assert is_in(client)


def test_older_than_ends_only_older_sessions(profile: str, ada: User) -> None:
    old, new = browser(ada), browser(ada)
    month_ago = timezone.now() - timedelta(days=30)
    SignedInSession.objects.filter(pk=row_of(old).pk).update(signed_in_at=month_ago)
    assert output_of("signout", "--all", "--older-than", "31") == "ada: 0 sessions are ended.\n"
    assert output_of("signout", "ada", "--older-than", "30") == "ada: 1 session is ended.\n"
    assert [is_in(each) for each in (old, new)] == [False, True]


@pytest.mark.parametrize("days", ["-1", "x", "", "9" * 9, "1.5"])
def test_older_than_refuses_invalid_numbers(days: str, ada: User) -> None:
    with pytest.raises(CommandError, match="is not a number of days"):
        output_of("signout", "ada", f"--older-than={days}")


def test_older_than_fails_on_engine_that_cannot_end_one_session(
    ada: User, settings: Settings
) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    client = browser(ada)
    with pytest.raises(CommandError, match="cannot end a single one"):
        output_of("signout", "ada", "--older-than", "0")
    assert is_in(client)


@on(*COOKIE_ENGINES)
def test_older_than_fails_on_cookies_without_revocation_check(
    profile: str, ada: User, settings: Settings
) -> None:
    del settings.SESSION_REVOCATION_CHECK
    client, other = browser(ada), browser(ada, IPHONE)
    with pytest.raises(CommandError, match="SESSION_REVOCATION_CHECK"):
        output_of("signout", "ada", "--older-than", "0")
    assert "SESSION_REVOCATION_CHECK" in client.get("/devices/").text
    assert is_in(other)


def test_older_than_ends_the_rest_if_one_session_cannot_be_ended(
    ada: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SESSION_ENGINE = "cookieproj.engines.db"
    clients = [browser(ada) for _ in range(3)]
    SignedInSession.objects.filter(pk=row_of(clients[1]).pk).update(sealed_key="torn")
    with pytest.raises(CommandError, match="SECRET_KEY that is no longer set"):
        output_of("signout", "ada", "--older-than", "0")
    assert [is_in(each) for each in clients] == [False, True, False]
    assert signout.number_of_days("0") == timedelta(0)
