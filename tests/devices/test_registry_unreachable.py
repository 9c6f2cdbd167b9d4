"""The index's database goes away in the middle: the request goes on, and the index hears later."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest import mock

import psycopg
import pytest
import time_machine
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from cookieproj.devices import auth_hashes, session_registry, signing_out, write_throttle
from cookieproj.devices.models import SignedInSession
from demo.models import User
from tests.browsers import IPHONE, browser, is_in, key_of, row_of
from tests.conftest import connected, on
from tests.families import COOKIE_ENGINES, run_on
from tests.fault_table import WHOSE, Whose
from tests.proxy import Proxy, proxied
from tests.servers import free_port

from .test_your_devices import OTHERS

pytestmark = pytest.mark.django_db(transaction=True)

# Where the sessions are in no database.
ELSEWHERE = on("cache", "file")


@pytest.fixture(params=WHOSE)
def family(request: pytest.FixtureRequest, profile: str, settings: Settings) -> Whose:
    found: Whose = request.param
    run_on(settings, found, profile)
    return found


@pytest.fixture
def proxy(stores: dict[str, str], profile: str) -> Iterator[Proxy]:
    """What the site reaches its database through: a PostgreSQL, with accounts."""
    with connected(stores["DATABASE_URL"]):
        there = connection.settings_dict
        folder = there["HOST"] or there["OPTIONS"]["host"]
        with proxied(f"{folder}/.s.PGSQL.5432") as proxy:
            address = {"HOST": "127.0.0.1", "PORT": str(proxy.port)}
            with mock.patch.dict(there, address):
                User.objects.update(password=make_password("cookies"))
                SignedInSession.objects.all().forget()
                yield proxy
                connection.close()


def go_away(proxy: Proxy) -> None:
    """Whoever is connected is cut off, and nobody gets through any more."""
    proxy.turn_to(("127.0.0.1", free_port()))
    proxy.cut()


def come_back(proxy: Proxy, folder: str) -> None:
    proxy.turn_to(f"{folder}/.s.PGSQL.5432")
    connection.close()


@pytest.fixture
def folder(proxy: Proxy) -> str:
    """Of the server's socket."""
    path: str = proxy._server  # type: ignore[assignment]
    return path.rpartition("/")[0]


@contextmanager
def just_before(owner: Any, name: str, act: Callable[[], object]) -> Iterator[None]:
    """It happens when that function is called for the first time."""
    really, acts = getattr(owner, name), [act]

    def function(*arguments: Any, **named: Any) -> Any:
        while acts:
            acts.pop()()
        return really(*arguments, **named)

    with mock.patch.object(owner, name, function):
        yield
    assert not acts, "nobody has called it"


def later() -> time_machine.travel:
    """When what could not be written is tried again."""
    return time_machine.travel(timezone.now() + timedelta(seconds=write_throttle.RETRY_AFTER + 1))


def visitor_with_data() -> Client:
    visitor = browser(agent=IPHONE)
    visitor.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    visitor.raise_request_exception = False
    return visitor


def color_of(client: Client) -> str:
    return client.get("/sessions/get-item/?key=color").text


def sign_in(client: Client, name: str = "ada") -> int:
    form = {"username": name, "password": "cookies"}
    return client.post("/auth/sign-in/", form).status_code


@ELSEWHERE
@pytest.mark.parametrize("before", ["nobody", "ada", "grace"])
def test_a_sign_in_goes_on(before: str, family: Whose, profile: str, proxy: Proxy) -> None:
    visitor = visitor_with_data()
    if before != "nobody":
        sign_in(visitor, before)
    with just_before(session_registry, "register", proxy.cut):
        assert sign_in(visitor) == 302
    assert is_in(visitor)
    if before != "grace":
        assert color_of(visitor) == "color is blue\n"
    with later():
        assert is_in(visitor)
        row = row_of(visitor)
        assert (row.user.username, row.session_key) == ("ada", key_of(visitor))


@ELSEWHERE
def test_the_row_of_a_sign_in_waits(
    family: Whose, profile: str, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = visitor_with_data()
    caplog.clear()
    with just_before(session_registry, "register", proxy.cut):
        sign_in(visitor)
    (line,) = caplog.records
    assert line.getMessage().startswith("The registry of signed-in sessions waits")
    assert is_in(visitor)
    assert not SignedInSession.objects.exists()
    with later():
        is_in(visitor)
    assert SignedInSession.objects.get() == row_of(visitor)


def test_an_index_without_a_table_keeps_nobody_out(
    family: Whose, profile: str, stores: dict[str, str], proxy: Proxy
) -> None:
    visitor = visitor_with_data()
    with psycopg.connect(stores["DATABASE_URL"], autocommit=True) as administrator:
        administrator.execute("ALTER TABLE cookieproj_devices_signedinsession RENAME TO gone")
        try:
            assert sign_in(visitor) == 302
            assert is_in(visitor)
            assert color_of(visitor) == "color is blue\n"
        finally:
            administrator.execute("ALTER TABLE gone RENAME TO cookieproj_devices_signedinsession")
    with later():
        assert is_in(visitor)
        assert row_of(visitor).user.username == "ada"


@on("cache", "file", *COOKIE_ENGINES)
def test_a_sign_in_that_cannot_go_on_leaves_the_session_as_it_was(
    profile: str, proxy: Proxy, folder: str
) -> None:
    """When the user last signed in is written there as well: by Django, and at once."""
    visitor = visitor_with_data()
    with just_before(session_registry, "register", lambda: go_away(proxy)):
        assert sign_in(visitor) == 503
    assert color_of(visitor) == "color is blue\n"
    come_back(proxy, folder)
    assert sign_in(visitor) == 302
    assert is_in(visitor)
    assert color_of(visitor) == "color is blue\n"
    assert row_of(visitor).user.username == "ada"


@ELSEWHERE
def test_a_sign_out_goes_on(family: Whose, profile: str, proxy: Proxy, folder: str) -> None:
    ada = User.objects.get(username="ada")
    client, other = browser(ada, IPHONE), browser(ada)
    copied = browser()
    copied.cookies["sessionid"] = key_of(client)
    with just_before(session_registry, "deregister", lambda: go_away(proxy)):
        assert client.post("/auth/sign-out/").status_code == 302
    come_back(proxy, folder)
    assert [is_in(client), is_in(copied), is_in(other)] == [False, False, True]
    assert "Mobile Safari" not in other.get("/devices/").text
    assert SignedInSession.objects.get() == row_of(other)


@on(*COOKIE_ENGINES)
def test_one_that_must_be_refused_is_not_half_done(profile: str, proxy: Proxy, folder: str) -> None:
    client = browser(User.objects.get(username="ada"))
    client.raise_request_exception = False
    with just_before(session_registry, "deregister", lambda: go_away(proxy)):
        response = client.post("/auth/sign-out/")
    assert (response.status_code, dict(response.cookies)) == (503, {})
    come_back(proxy, folder)
    assert is_in(client)
    assert SignedInSession.objects.get() == row_of(client)


@on("cache", "file", *COOKIE_ENGINES)
def test_who_changes_the_password_stays_in(family: Whose, profile: str, proxy: Proxy) -> None:
    admin = User.objects.get(username="admin")
    client, other = browser(admin), browser(admin, IPHONE)
    passwords = {"new_password1": "a3-Long_one", "new_password2": "a3-Long_one"}
    form = {"old_password": "cookies", **passwords}
    with just_before(auth_hashes, "hashes_of", proxy.cut):
        assert client.post("/admin/password_change/", form).status_code == 302
    assert is_in(client)
    assert "Mobile Safari" not in client.get("/devices/").text
    assert not is_in(other)
    call_command("clearsessions", verbosity=0)
    assert SignedInSession.objects.live().get() == row_of(client)


@on("cache", "file", *COOKIE_ENGINES)
def test_who_signs_out_all_others_stays_in(family: Whose, profile: str, proxy: Proxy) -> None:
    ada = User.objects.get(username="ada")
    client, other = browser(ada), browser(ada, IPHONE)
    with just_before(signing_out, "delete_stored", proxy.cut):
        assert client.post(OTHERS).status_code == 302
    assert [is_in(client), is_in(other)] == [True, False]
    assert "Mobile Safari" not in client.get("/devices/").text
    call_command("clearsessions", verbosity=0)
    assert SignedInSession.objects.live().get() == row_of(client)


@ELSEWHERE
def test_ordinary_requests_go_on(family: Whose, profile: str, proxy: Proxy, folder: str) -> None:
    client = browser(User.objects.get(username="ada"))
    SignedInSession.objects.update(last_seen=timezone.now() - timedelta(hours=1))
    long_ago = row_of(client).last_seen
    write_throttle.recent_writes.clear()
    go_away(proxy)
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    assert color_of(client) == "color is blue\n"
    come_back(proxy, folder)
    assert row_of(client).last_seen == long_ago
    with later():
        assert is_in(client)
        assert color_of(client) == "color is blue\n"
    assert row_of(client).last_seen > long_ago


@ELSEWHERE
def test_what_the_index_has_not_heard_clearing_finds_out(
    family: Whose, profile: str, proxy: Proxy, folder: str
) -> None:
    client = browser(User.objects.get(username="ada"))
    with just_before(session_registry, "deregister", lambda: go_away(proxy)):
        client.post("/auth/sign-out/")
    come_back(proxy, folder)
    assert SignedInSession.objects.exists()
    call_command("clearsessions", verbosity=0)
    assert not SignedInSession.objects.exists()
