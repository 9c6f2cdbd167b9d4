"""The registry's database becomes unreachable during a request.

Where possible the request succeeds, and the registry is updated at the next try.
"""

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

OUTSIDE_DATABASE = on("cache", "file")


@pytest.fixture(params=WHOSE)
def family(request: pytest.FixtureRequest, profile: str, settings: Settings) -> Whose:
    whose: Whose = request.param
    run_on(settings, whose, profile)
    return whose


@pytest.fixture
def proxy(stores: dict[str, str], profile: str) -> Iterator[Proxy]:
    """A proxy to the site's PostgreSQL, which has the demo accounts."""
    with connected(stores["DATABASE_URL"]):
        database = connection.settings_dict
        folder = database["HOST"] or database["OPTIONS"]["host"]
        with proxied(f"{folder}/.s.PGSQL.5432") as proxy:
            address = {"HOST": "127.0.0.1", "PORT": str(proxy.port)}
            with mock.patch.dict(database, address):
                User.objects.update(password=make_password("cookies"))
                SignedInSession.objects.all().forget()
                yield proxy
                connection.close()


def disconnect(proxy: Proxy) -> None:
    """Close all connections, and refuse new ones."""
    proxy.turn_to(("127.0.0.1", free_port()))
    proxy.cut()


def reconnect(proxy: Proxy, folder: str) -> None:
    proxy.turn_to(f"{folder}/.s.PGSQL.5432")
    connection.close()


@pytest.fixture
def folder(proxy: Proxy) -> str:
    """The folder of the server's socket."""
    path: str = proxy._server  # type: ignore[assignment]
    return path.rpartition("/")[0]


@contextmanager
def before_first_call(owner: Any, name: str, act: Callable[[], object]) -> Iterator[None]:
    """Call ``act`` before that function is called for the first time."""
    original, acts = getattr(owner, name), [act]

    def function(*arguments: Any, **named: Any) -> Any:
        while acts:
            acts.pop()()
        return original(*arguments, **named)

    with mock.patch.object(owner, name, function):
        yield
    assert not acts, f"{name} was not called"


def at_next_try() -> time_machine.travel:
    """Travel to when a failed update of the registry is tried again."""
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


@OUTSIDE_DATABASE
@pytest.mark.parametrize("previous", ["nobody", "ada", "grace"])
def test_sign_in_succeeds_if_connection_is_lost(
    previous: str, family: Whose, profile: str, proxy: Proxy
) -> None:
    visitor = visitor_with_data()
    if previous != "nobody":
        sign_in(visitor, previous)
    with before_first_call(session_registry, "register", proxy.cut):
        assert sign_in(visitor) == 302
    assert is_in(visitor)
    if previous != "grace":
        assert color_of(visitor) == "color is blue\n"
    with at_next_try():
        assert is_in(visitor)
        row = row_of(visitor)
        assert (row.user.username, row.session_key) == ("ada", key_of(visitor))


@OUTSIDE_DATABASE
def test_row_of_sign_in_is_written_later(
    family: Whose, profile: str, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = visitor_with_data()
    caplog.clear()
    with before_first_call(session_registry, "register", proxy.cut):
        sign_in(visitor)
    (line,) = caplog.records
    assert line.getMessage().startswith("The registry of signed-in sessions waits")
    assert is_in(visitor)
    assert not SignedInSession.objects.exists()
    with at_next_try():
        is_in(visitor)
    assert SignedInSession.objects.get() == row_of(visitor)


def test_sign_in_succeeds_if_registry_has_no_table(
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
    with at_next_try():
        assert is_in(visitor)
        assert row_of(visitor).user.username == "ada"


@on("cache", "file", *COOKIE_ENGINES)
def test_failed_sign_in_leaves_session_unchanged(profile: str, proxy: Proxy, folder: str) -> None:
    """The sign-in fails because Django writes ``last_login`` to the same database."""
    visitor = visitor_with_data()
    with before_first_call(session_registry, "register", lambda: disconnect(proxy)):
        assert sign_in(visitor) == 503
    assert color_of(visitor) == "color is blue\n"
    reconnect(proxy, folder)
    assert sign_in(visitor) == 302
    assert is_in(visitor)
    assert color_of(visitor) == "color is blue\n"
    assert row_of(visitor).user.username == "ada"


@OUTSIDE_DATABASE
def test_sign_out_succeeds_while_database_is_unreachable(
    family: Whose, profile: str, proxy: Proxy, folder: str
) -> None:
    ada = User.objects.get(username="ada")
    client, other = browser(ada, IPHONE), browser(ada)
    copied = browser()
    copied.cookies["sessionid"] = key_of(client)
    with before_first_call(session_registry, "deregister", lambda: disconnect(proxy)):
        assert client.post("/auth/sign-out/").status_code == 302
    reconnect(proxy, folder)
    assert [is_in(client), is_in(copied), is_in(other)] == [False, False, True]
    assert "Mobile Safari" not in other.get("/devices/").text
    assert SignedInSession.objects.get() == row_of(other)


@on(*COOKIE_ENGINES)
def test_sign_out_of_cookie_session_fails_as_a_whole_while_database_is_unreachable(
    profile: str, proxy: Proxy, folder: str
) -> None:
    """The database would have to store that the session is refused."""
    client = browser(User.objects.get(username="ada"))
    client.raise_request_exception = False
    with before_first_call(session_registry, "deregister", lambda: disconnect(proxy)):
        response = client.post("/auth/sign-out/")
    assert (response.status_code, dict(response.cookies)) == (503, {})
    reconnect(proxy, folder)
    assert is_in(client)
    assert SignedInSession.objects.get() == row_of(client)


@on("cache", "file", *COOKIE_ENGINES)
def test_password_change_keeps_own_session_if_connection_is_lost(
    family: Whose, profile: str, proxy: Proxy
) -> None:
    admin = User.objects.get(username="admin")
    client, other = browser(admin), browser(admin, IPHONE)
    passwords = {"new_password1": "a3-Long_one", "new_password2": "a3-Long_one"}
    form = {"old_password": "cookies", **passwords}
    with before_first_call(auth_hashes, "hashes_of", proxy.cut):
        assert client.post("/admin/password_change/", form).status_code == 302
    assert is_in(client)
    assert "Mobile Safari" not in client.get("/devices/").text
    assert not is_in(other)
    call_command("clearsessions", verbosity=0)
    assert SignedInSession.objects.live().get() == row_of(client)


@on("cache", "file", *COOKIE_ENGINES)
def test_sign_out_others_keeps_own_session_if_connection_is_lost(
    family: Whose, profile: str, proxy: Proxy
) -> None:
    ada = User.objects.get(username="ada")
    client, other = browser(ada), browser(ada, IPHONE)
    with before_first_call(signing_out, "delete_stored", proxy.cut):
        assert client.post(OTHERS).status_code == 302
    assert [is_in(client), is_in(other)] == [True, False]
    assert "Mobile Safari" not in client.get("/devices/").text
    call_command("clearsessions", verbosity=0)
    assert SignedInSession.objects.live().get() == row_of(client)


@OUTSIDE_DATABASE
def test_ordinary_requests_succeed_while_database_is_unreachable(
    family: Whose, profile: str, proxy: Proxy, folder: str
) -> None:
    client = browser(User.objects.get(username="ada"))
    SignedInSession.objects.update(last_seen=timezone.now() - timedelta(hours=1))
    long_ago = row_of(client).last_seen
    write_throttle.recent_writes.clear()
    disconnect(proxy)
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    assert color_of(client) == "color is blue\n"
    reconnect(proxy, folder)
    assert row_of(client).last_seen == long_ago
    with at_next_try():
        assert is_in(client)
        assert color_of(client) == "color is blue\n"
    assert row_of(client).last_seen > long_ago


@OUTSIDE_DATABASE
def test_clearsessions_deletes_row_of_sign_out_while_database_was_unreachable(
    family: Whose, profile: str, proxy: Proxy, folder: str
) -> None:
    client = browser(User.objects.get(username="ada"))
    with before_first_call(session_registry, "deregister", lambda: disconnect(proxy)):
        client.post("/auth/sign-out/")
    reconnect(proxy, folder)
    assert SignedInSession.objects.exists()
    call_command("clearsessions", verbosity=0)
    assert not SignedInSession.objects.exists()
