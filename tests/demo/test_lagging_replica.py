"""Who is signed in or out is so at once, though the site reads from a replica that lags."""

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


pytestmark = pytest.mark.usefixtures("on_file")


@pytest.fixture
def freeze(on_file: Path, settings: Settings, tmp_path: Path) -> Iterator[Freeze]:
    """From then on all that is read comes from a replica to which nothing new arrives."""
    path = tmp_path / "replica.sqlite3"
    with ExitStack() as stack:

        def freeze() -> None:
            with connection.cursor() as cursor:
                cursor.execute("VACUUM INTO %s", [str(path)])
            stack.enter_context(read_from(settings, **sqlite(path, read_only=True)))

        yield freeze


def copy_of(client: Client) -> Client:
    """With a cookie that this browser may lose."""
    other = browser()
    other.cookies["sessionid"] = key_of(client)
    return other


def test_who_signs_in_is_in(profile: str, ada: User, freeze: Freeze) -> None:
    visitor = browser()
    visitor.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    freeze()
    visitor.post("/auth/sign-in/", {"username": "ada", "password": "cookies"})
    assert is_in(visitor)
    assert visitor.get("/sessions/get-item/?key=color").text == "color is blue\n"
    assert row_of(visitor).user == ada


def test_who_has_no_account_there_yet_too(profile: str, admin: User, freeze: Freeze) -> None:
    freeze()
    ada = User.objects.create_user("ada", password="cookies")
    client, other = browser(ada), browser(ada, IPHONE)
    assert is_in(client)
    client.post(address_of(other))
    assert not is_in(other)
    page = browser(admin).get("/admin/cookieproj_devices/signedinsession/").text
    assert ">ada<" in page


def test_who_signs_out_is_out(profile: str, ada: User, freeze: Freeze) -> None:
    client = browser(ada)
    copied = copy_of(client)
    freeze()
    assert client.post("/auth/sign-out/").status_code == 302
    assert [is_in(client), is_in(copied)] == [False, False]
    assert not SignedInSession.objects.exists()


@pytest.mark.parametrize("is_there", [True, False])
def test_another_device_that_is_signed_out_is_out(
    is_there: bool, profile: str, ada: User, freeze: Freeze
) -> None:
    client = browser(ada)
    if not is_there:
        freeze()
    other = browser(ada, IPHONE)
    if is_there:
        freeze()
    assert "Mobile Safari" in client.get("/devices/").text
    assert "is signed out." in client.post(address_of(other), follow=True).text
    assert "Mobile Safari" not in client.get("/devices/").text
    assert [is_in(client), is_in(other)] == [True, False]


def test_so_is_one_whose_key_has_changed_since(profile: str, ada: User, freeze: Freeze) -> None:
    client, other = browser(ada), browser(ada)
    freeze()
    other.post("/lifecycle/cycle-key/")
    client.post(address_of(other))
    assert [is_in(client), is_in(other)] == [True, False]


def test_all_others_are_out_and_this_one_stays_in(profile: str, ada: User, freeze: Freeze) -> None:
    client, other = browser(ada), browser(ada)
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    freeze()
    for _ in range(2):
        assert client.post(OTHERS).status_code == 302
        assert [is_in(client), is_in(other)] == [True, False]
        assert list(SignedInSession.objects.live()) == [row_of(client)]
        other = browser(ada)
        assert is_in(other)
    assert client.get("/sessions/get-item/?key=color").text == "color is blue\n"


def test_a_new_password_ends_the_others(profile: str, admin: User, freeze: Freeze) -> None:
    client, other = browser(admin), browser(admin)
    freeze()
    passwords = {"new_password1": "a3-Long_one", "new_password2": "a3-Long_one"}
    form = {"old_password": "cookies", **passwords}
    assert client.post("/admin/password_change/", form).status_code == 302
    write_throttle.recent_writes.clear()
    assert [is_in(client), is_in(other)] == [True, False]
    assert list(SignedInSession.objects.live()) == [row_of(client)]
    again = browser()
    again.post("/auth/sign-in/", {"username": "admin", "password": "a3-Long_one"})
    assert is_in(again)


def test_who_signs_in_after_being_signed_out_everywhere_stays(
    profile: str, ada: User, freeze: Freeze, settings: Settings
) -> None:
    freeze()
    sign_out_everywhere(ada)
    client = browser(ada)
    # The replica has caught up.
    settings.DATABASE_ROUTERS = []
    assert is_in(client)


def test_signout_ends_what_has_just_begun(profile: str, ada: User, freeze: Freeze) -> None:
    freeze()
    client = browser(ada)
    out = StringIO()
    call_command("signout", "ada", stdout=out)
    assert out.getvalue() == "ada is signed out everywhere; 1 session known.\n"
    assert not is_in(client)


def test_the_admin_ends_what_it_lists(profile: str, ada: User, admin: User, freeze: Freeze) -> None:
    gone, client = browser(ada), browser(admin)
    freeze()
    new = browser(ada, IPHONE)
    for ended in (gone, new):
        path = f"/admin/cookieproj_devices/signedinsession/{row_of(ended).pk}/delete/"
        assert client.get(path).status_code == 200
        assert client.post(path, {"post": "yes"}).status_code == 302
        assert not is_in(ended)
    assert ">ada<" not in client.get("/admin/cookieproj_devices/signedinsession/").text
    assert is_in(client)


def test_clearsessions_goes_by_what_is_true_now(
    profile: str, store: type[SessionBase], ada: User, freeze: Freeze
) -> None:
    """It ends, though the replica goes on showing what it has removed."""
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
def test_a_late_request_brings_no_row_back(profile: str, ada: User, freeze: Freeze) -> None:
    client, other = browser(ada), browser(ada)
    copied = copy_of(other)
    freeze()
    client.post(address_of(other))
    write_throttle.recent_writes.clear()
    assert not is_in(copied)
    assert list(SignedInSession.objects.all()) == [row_of(client)]
