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


def said(*command: Any) -> str:
    out = StringIO()
    call_command(*map(str, command), stdout=out)
    return out.getvalue()


def test_it_lists_where_somebody_is_signed_in(profile: str, ada: User, admin: User) -> None:
    browser(admin)
    clients = [browser(ada, IPHONE, "198.51.100.7"), browser(ada)]
    lines = said("sessions", "ada").splitlines()
    assert [line.split()[0] for line in lines] == [str(row_of(each).pk) for each in clients[::-1]]
    assert "ada  Mobile Safari on iOS  198.51.100.7" in lines[1]
    assert not any(key_of(each) in line for each in clients for line in lines)
    clients[0].post("/auth/sign-out/")
    assert len(said("sessions", "ada").splitlines()) == 1


@on("db", *COOKIE_ENGINES)
def test_it_lists_them_as_json(profile: str, ada: User, admin: User) -> None:
    rows = [row_of(browser(admin)), row_of(browser(ada))]
    found = json.loads(said("sessions", "admin", "ada", "--json"))
    assert [each["id"] for each in found] == [str(row.pk) for row in rows]
    assert [each["user"] for each in found] == ["admin", "ada"]
    assert {"key", "session_key", "sealed_key", "auth_hash"}.isdisjoint(found[0])
    assert found[0]["expires"].endswith("Z")


def test_who_is_signed_in_nowhere(ada: User) -> None:
    assert said("sessions", "ada") == "Signed in nowhere.\n"
    assert json.loads(said("sessions", "ada", "--json")) == []


@pytest.mark.parametrize("command", ["sessions", "signout"])
@pytest.mark.parametrize("name", ["nobody", "\udcff"])
def test_nobody_of_that_name(command: str, name: str, ada: User) -> None:
    with pytest.raises(CommandError, match="There is no user"):
        said(command, "ada", name)


def test_without_a_database_it_is_one_line(ada: User) -> None:
    away = mock.patch(f"{sessions.__name__}.find_by_name", side_effect=OperationalError("x"))
    with away, pytest.raises(CommandError, match="Could not list the sessions: x"):
        said("sessions", "ada")


def test_all_users_are_signed_out(profile: str, ada: User, admin: User) -> None:
    clients = [browser(ada), browser(admin)]
    found = json.loads(said("signout", "--all", "--json"))
    assert sorted((each["user"], each["ended"]) for each in found) == [("ada", 1), ("admin", 1)]
    assert not any(map(is_in, clients))


@pytest.mark.parametrize("arguments", [[], ["ada", "--all"]])
def test_users_are_named_or_it_is_all_of_them(arguments: list[str], ada: User) -> None:
    with pytest.raises(CommandError, match="Name users, or use --all"):
        said("signout", *arguments)


def test_a_session_is_left_signed_in(profile: str, ada: User, admin: User) -> None:
    kept, other, admins = browser(ada), browser(ada), browser(admin)
    text = said("signout", "ada", "--except-session", row_of(kept).pk)
    assert text == "ada: 1 session is ended.\n"
    assert [is_in(each) for each in (kept, other, admins)] == [True, False, True]


@on("db")
def test_a_session_that_is_none_ends_nothing(profile: str, ada: User) -> None:
    client = browser(ada)
    with pytest.raises(CommandError, match=r"There is no session .*Nobody is signed out"):
        said("signout", "ada", "--except-session", uuid4())
    with pytest.raises(CommandError, match="not the id of a session"):
        said("signout", "ada", "--except-session", "x")
    assert is_in(client)


def test_only_older_sessions_are_ended(profile: str, ada: User) -> None:
    old, new = browser(ada), browser(ada)
    before = timezone.now() - timedelta(days=30)
    SignedInSession.objects.filter(pk=row_of(old).pk).update(signed_in_at=before)
    assert said("signout", "--all", "--older-than", "31") == "ada: 0 sessions are ended.\n"
    assert said("signout", "ada", "--older-than", "30") == "ada: 1 session is ended.\n"
    assert [is_in(each) for each in (old, new)] == [False, True]


@pytest.mark.parametrize("days", ["-1", "x", "", "9" * 9, "1.5"])
def test_what_is_no_number_of_days(days: str, ada: User) -> None:
    with pytest.raises(CommandError, match="is not a number of days"):
        said("signout", "ada", f"--older-than={days}")


def test_where_one_cannot_be_ended_it_says_so(ada: User, settings: Settings) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    client = browser(ada)
    with pytest.raises(CommandError, match="cannot end a single one"):
        said("signout", "ada", "--older-than", "0")
    assert is_in(client)


@on(*COOKIE_ENGINES)
def test_nor_where_nothing_refuses_it(profile: str, ada: User, settings: Settings) -> None:
    del settings.SESSION_REVOCATION_CHECK
    client, other = browser(ada), browser(ada, IPHONE)
    with pytest.raises(CommandError, match="SESSION_REVOCATION_CHECK"):
        said("signout", "ada", "--older-than", "0")
    assert "SESSION_REVOCATION_CHECK" in client.get("/devices/").text
    assert is_in(other)


def test_the_rest_is_ended_where_one_cannot_be(
    ada: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SESSION_ENGINE = "cookieproj.engines.db"
    clients = [browser(ada) for _ in range(3)]
    SignedInSession.objects.filter(pk=row_of(clients[1]).pk).update(sealed_key="torn")
    with pytest.raises(CommandError, match="SECRET_KEY that is no longer set"):
        said("signout", "ada", "--older-than", "0")
    assert [is_in(each) for each in clients] == [False, True, False]
    assert signout.number_of_days("0") == timedelta(0)
