"""Sign-ins and sign-outs take effect at once, even if the site reads from a lagging replica."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.sessions.backends.base import SessionBase
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from cookieproj.devices import write_throttle
from cookieproj.devices.models import RefusedSession, SignedInSession
from cookieproj.devices.signing_out import sign_out_everywhere
from demo.models import User
from tests.browsers import IPHONE, browser, is_in, key_of, row_of
from tests.conftest import on
from tests.devices.test_your_devices import OTHERS, address_of
from tests.families import COOKIE_ENGINES
from tests.replicas import read_from, sqlite

Freeze = Callable[[], None]


pytestmark = pytest.mark.usefixtures("database_file")


@pytest.fixture
def freeze(database_file: Path, settings: Settings, tmp_path: Path) -> Iterator[Freeze]:
    """Return a function: once called, all reads come from a replica that gets no more changes."""
    path = tmp_path / "replica.sqlite3"
    with ExitStack() as stack:

        def freeze() -> None:
            with connection.cursor() as cursor:
                cursor.execute("VACUUM INTO %s", [str(path)])
            stack.enter_context(read_from(settings, **sqlite(path, read_only=True)))

        yield freeze


def copy_of(client: Client) -> Client:
    """Return another browser with the same session cookie."""
    copied = browser()
    copied.cookies["sessionid"] = key_of(client)
    return copied


def test_sign_in_takes_effect_at_once(profile: str, ada: User, freeze: Freeze) -> None:
    visitor = browser()
    visitor.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    freeze()
    visitor.post("/auth/sign-in/", {"username": "ada", "password": "cookies"})
    assert is_in(visitor)
    assert visitor.get("/sessions/get-item/?key=color").text == "color is blue\n"
    assert row_of(visitor).user == ada


def test_user_missing_on_replica_can_sign_in_and_be_signed_out(
    profile: str, admin: User, freeze: Freeze
) -> None:
    freeze()
    ada = User.objects.create_user("ada", password="cookies")
    client, phone = browser(ada), browser(ada, IPHONE)
    assert is_in(client)
    client.post(address_of(phone))
    assert not is_in(phone)
    page = browser(admin).get("/admin/cookieproj_devices/signedinsession/").text
    assert ">ada<" in page


def test_sign_out_takes_effect_at_once(profile: str, ada: User, freeze: Freeze) -> None:
    client = browser(ada)
    copied = copy_of(client)
    freeze()
    assert client.post("/auth/sign-out/").status_code == 302
    assert [is_in(client), is_in(copied)] == [False, False]
    assert not SignedInSession.objects.exists()


@pytest.mark.parametrize("replicated", [True, False])
def test_sign_out_of_another_device_takes_effect_at_once(
    replicated: bool, profile: str, ada: User, freeze: Freeze
) -> None:
    client = browser(ada)
    if not replicated:
        freeze()
    phone = browser(ada, IPHONE)
    if replicated:
        freeze()
    assert "Mobile Safari" in client.get("/devices/").text
    assert "is signed out." in client.post(address_of(phone), follow=True).text
    assert "Mobile Safari" not in client.get("/devices/").text
    assert [is_in(client), is_in(phone)] == [True, False]


def test_device_with_new_session_key_is_signed_out(profile: str, ada: User, freeze: Freeze) -> None:
    client, other_browser = browser(ada), browser(ada)
    freeze()
    other_browser.post("/lifecycle/cycle-key/")
    client.post(address_of(other_browser))
    assert [is_in(client), is_in(other_browser)] == [True, False]


def test_sign_out_of_others_keeps_current_session(profile: str, ada: User, freeze: Freeze) -> None:
    client, other_browser = browser(ada), browser(ada)
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    freeze()
    for _ in range(2):
        assert client.post(OTHERS).status_code == 302
        assert [is_in(client), is_in(other_browser)] == [True, False]
        assert list(SignedInSession.objects.live()) == [row_of(client)]
        other_browser = browser(ada)
        assert is_in(other_browser)
    assert client.get("/sessions/get-item/?key=color").text == "color is blue\n"


def test_new_password_ends_other_sessions(profile: str, admin: User, freeze: Freeze) -> None:
    client, other_browser = browser(admin), browser(admin)
    freeze()
    passwords = {"new_password1": "a3-Long_one", "new_password2": "a3-Long_one"}
    form = {"old_password": "cookies", **passwords}
    assert client.post("/admin/password_change/", form).status_code == 302
    write_throttle.recent_writes.clear()
    assert [is_in(client), is_in(other_browser)] == [True, False]
    assert list(SignedInSession.objects.live()) == [row_of(client)]
    new_browser = browser()
    new_browser.post("/auth/sign-in/", {"username": "admin", "password": "a3-Long_one"})
    assert is_in(new_browser)


def test_sign_in_after_sign_out_everywhere_stays_valid(
    profile: str, ada: User, freeze: Freeze, settings: Settings
) -> None:
    freeze()
    sign_out_everywhere(ada)
    client = browser(ada)
    # The replica catches up.
    settings.DATABASE_ROUTERS = []
    assert is_in(client)


def test_signout_command_ends_session_missing_on_replica(
    profile: str, ada: User, freeze: Freeze
) -> None:
    freeze()
    client = browser(ada)
    out = StringIO()
    call_command("signout", "ada", stdout=out)
    assert out.getvalue() == "ada is signed out everywhere; 1 session known.\n"
    assert not is_in(client)


def test_admin_ends_sessions_present_and_missing_on_replica(
    profile: str, ada: User, admin: User, freeze: Freeze
) -> None:
    replicated, client = browser(ada), browser(admin)
    freeze()
    unreplicated = browser(ada, IPHONE)
    for listed in (replicated, unreplicated):
        path = f"/admin/cookieproj_devices/signedinsession/{row_of(listed).pk}/delete/"
        assert client.get(path).status_code == 200
        assert client.post(path, {"post": "yes"}).status_code == 302
        assert not is_in(listed)
    assert ">ada<" not in client.get("/admin/cookieproj_devices/signedinsession/").text
    assert is_in(client)


def test_clearsessions_uses_rows_of_primary(
    profile: str, store: type[SessionBase], ada: User, freeze: Freeze
) -> None:
    """It ends, although the replica still has the deleted rows."""
    clients = [browser(ada) for _ in range(3)]
    long_ago = timezone.now() - timedelta(days=1)
    SignedInSession.objects.update(expires=long_ago)
    RefusedSession.objects.create(pk=row_of(clients[0]).pk, until=long_ago)
    kept = row_of(clients[1])
    freeze()
    SignedInSession.objects.filter(pk=kept.pk).update(expires=timezone.now() + timedelta(days=1))
    call_command("clearsessions", verbosity=0)
    assert list(SignedInSession.objects.all()) == [kept]
    assert not RefusedSession.objects.exists()


@on(*COOKIE_ENGINES)
def test_late_request_does_not_restore_row(profile: str, ada: User, freeze: Freeze) -> None:
    client, other_browser = browser(ada), browser(ada)
    copied = copy_of(other_browser)
    freeze()
    client.post(address_of(other_browser))
    write_throttle.recent_writes.clear()
    assert not is_in(copied)
    assert list(SignedInSession.objects.all()) == [row_of(client)]
