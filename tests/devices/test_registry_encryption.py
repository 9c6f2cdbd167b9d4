"""The index keeps no session key and no session hash in clear, and still knows them again."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

import pytest
from django.conf import settings as running
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.backends.base import SessionBase
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoDbBlocker, Settings

from cookieproj.devices import auth_hashes, stored_sessions, write_throttle
from cookieproj.devices.constants import REGISTRY_SEAL
from cookieproj.devices.models import SignedInSession
from cookieproj.devices.signing_out import devices_of
from cookieproj.engines import encryption, inspector
from demo.models import User
from tests.browsers import again, browser, is_in, key_of, row_of
from tests.conftest import connected, copied, new_database, on
from tests.families import IN_COOKIES

ON_SERVER = on("db", "cache", "file", "cached_db")
ANOTHER = "another-key-that-is-long-enough-for-django-0123456789abcdefghij"


@pytest.fixture
def rotate(settings: Settings) -> Callable[..., None]:
    def rotate(secret: str = ANOTHER, *, keep: bool = True) -> None:
        settings.SECRET_KEY_FALLBACKS = [running.SECRET_KEY] if keep else []
        settings.SECRET_KEY = secret
        # As in the processes that are started with it.
        write_throttle.recent_writes.clear()

    return rotate


def tables() -> str:
    """All that a backup of the site's database has, but what Django's engines keep in theirs."""
    names = set(connection.introspection.table_names()) - {"django_session"}
    with connection.cursor() as cursor:
        return "\n".join(str(rows_of(cursor, name)) for name in sorted(names))


def rows_of(cursor: Any, name: str) -> list[Any]:
    cursor.execute(f"SELECT * FROM {connection.ops.quote_name(name)}")
    found: list[Any] = cursor.fetchall()
    return found


def test_no_table_of_ours_spells_a_key_or_a_hash(profile: str, admin: User, ada: User) -> None:
    """Nor after each way to end a session, of which the admin's log tells."""
    client = browser(admin)
    others = [browser(ada) for _ in range(5)]
    keys = [key_of(each) for each in (client, *others)]
    hashes = [admin.get_session_auth_hash(), ada.get_session_auth_hash()]
    rows = [str(row_of(each).pk) for each in others]
    seen = [tables()]
    client.post(f"/admin/cookieproj_devices/signedinsession/{rows[0]}/delete/", {"post": "yes"})
    form = {"action": "delete_selected", "_selected_action": [rows[1]], "post": "yes"}
    client.post("/admin/cookieproj_devices/signedinsession/", form)
    if profile not in IN_COOKIES:
        name = inspector.encrypt(keys[3], inspector.KEY)
        client.post(f"/admin/cookieproj_engines/storedsession/{name}/delete/", {"post": "yes"})
    others[3].post("/lifecycle/flush/")
    others[4].post(f"/devices/{rows[3]}/sign-out/")
    seen.append(tables())
    others[4].post("/devices/sign-out-others/")
    call_command("signout", "ada", verbosity=0)
    seen.append(tables())
    assert LogEntry.objects.count() >= 4
    assert UUID(rows[0]).hex in seen[0].replace("-", "")
    parts = {part for key in keys for part in key.split(":") if len(part) > 20}
    assert not [part for part in {*keys, *parts, *hashes} if part in "\n".join(seen)]


@ON_SERVER
def test_a_request_that_has_nothing_to_tell_opens_and_seals_nothing(
    profile: str, ada: User
) -> None:
    client = browser(ada)
    with mock.patch.object(encryption, "cipher", side_effect=AssertionError):
        assert is_in(client)
        client.post("/sessions/set-item/")
        assert is_in(client)
        with pytest.raises(AssertionError):
            client.get("/devices/")


def test_what_is_sealed_for_one_purpose_opens_for_no_other() -> None:
    sealed = encryption.encrypt("0123456789abcdef", REGISTRY_SEAL)
    assert encryption.decrypt(sealed, REGISTRY_SEAL) == "0123456789abcdef"
    assert encryption.encrypt("0123456789abcdef", REGISTRY_SEAL) == sealed
    for purpose, context in (
        ("demo.inspector", []),
        (REGISTRY_SEAL, [b"x"]),
        (REGISTRY_SEAL, [b""]),
    ):
        with pytest.raises(encryption.DecryptionError):
            encryption.decrypt(sealed, purpose, *context)
    for none in ("", "x", sealed[:-2], sealed.replace(sealed[:2], "00"), "é", sealed + "00"):
        with pytest.raises(encryption.DecryptionError):
            encryption.decrypt(none, REGISTRY_SEAL)


@ON_SERVER
def test_a_row_sealed_with_an_older_key_is_found_compared_shown_and_ended(
    profile: str,
    store: type[SessionBase],
    admin: User,
    ada: User,
    rotate: Callable[..., None],
) -> None:
    client, others = browser(admin), [browser(ada) for _ in range(4)]
    keys, rows = [key_of(each) for each in others], [row_of(each) for each in others]
    before = {row.pk: row.sealed_key for row in rows}
    rotate()
    client, others = again(client), [again(each) for each in others]
    # Shown, and compared with what is stored.
    page = client.get("/admin/cookieproj_devices/signedinsession/").content.decode()
    assert all(f"{key[:8]}…" in page for key in keys)
    call_command("clearsessions", verbosity=0)
    assert set(stored_sessions.rows_with_session(SignedInSession.objects.filter(user=ada))) == set(
        rows
    )
    listed = SignedInSession.objects.filter(user=ada)
    assert before == {row.pk: row.sealed_key for row in listed}
    # Found, by the key of a stored session.
    name = inspector.encrypt(keys[0], inspector.KEY)
    client.post(f"/admin/cookieproj_engines/storedsession/{name}/delete/", {"post": "yes"})
    assert set(SignedInSession.objects.filter(user=ada)) == set(rows[1:])
    # Ended, by its row.
    rows[1].delete()
    assert not store().exists(keys[1])
    others[2].post(f"/devices/{rows[3].pk}/sign-out/")
    assert [is_in(each) for each in others] == [False, False, True, False]
    # Once it is written again, the older key is not needed.
    assert SignedInSession.objects.get(user=ada).sealed_key != before[rows[2].pk]
    assert SignedInSession.objects.get(user=ada) == rows[2]
    rotate(ANOTHER, keep=False)
    assert SignedInSession.objects.get(user=ada).session_key == keys[2]


@ON_SERVER
def test_a_row_that_no_secret_key_opens_has_ended(
    profile: str, ada: User, rotate: Callable[..., None]
) -> None:
    """With it went the session hash, so the session is signed in no more."""
    client = browser(ada)
    rotate(keep=False)
    row = SignedInSession.objects.get()
    assert row.session_key == ""
    assert not stored_sessions.rows_with_session([row])
    assert not is_in(again(client))
    client = browser(ada)
    assert devices_of(ada) == [row_of(client)]


@ON_SERVER
def test_nor_does_it_stand_in_the_way_of_its_user(
    profile: str, ada: User, rotate: Callable[..., None]
) -> None:
    browser(ada)
    rotate(keep=False)
    ada.delete()
    assert not SignedInSession.objects.exists()


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def before_sealing(
    request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> Iterator[Callable[[], object]]:
    """A database of its own; to call it brings the index back to what it was."""
    if request.param == "sqlite":
        url = copied(request.getfixturevalue("demo_database"), tmp_path)
    else:
        name = f"sealing_{uuid4().hex}"
        url = new_database(request.getfixturevalue(f"{request.param}_url"), name)
    with django_db_blocker.unblock(), connected(url):
        call_command("migrate", verbosity=0)
        yield lambda: call_command("migrate", "demo", "0003", verbosity=0)


def in_clear() -> dict[str, tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, session_key, auth_hash FROM demo_signedinsession")
        return {str(row): (key, auth_hash) for row, key, auth_hash in cursor.fetchall()}


@pytest.mark.parametrize("engine", ["db", "signed_cookies"])
def test_a_migration_seals_what_was_there(
    engine: str, before_sealing: Callable[[], object], settings: Settings, tmp_path: Path
) -> None:
    settings.SESSION_ENGINE = f"cookieproj.engines.{engine}"
    SignedInSession.objects.all().forget()
    ada, _made = User.objects.get_or_create(username="ada")
    User.objects.filter(pk=ada.pk).update(sign_outs=3)
    ada.refresh_from_db()
    clients = [Client(), Client(), Client()]
    for client in clients:
        client.force_login(ada)
    rows = [row_of(client) for client in clients]
    hashes = {"now": ada.get_session_auth_hash()}
    SignedInSession.objects.filter(pk=rows[2].pk).update(auth_hash=auth_hashes.digest("of another"))
    sealed = list(SignedInSession.objects.order_by("pk").values())
    before_sealing()
    # As it was written before: the row whose hash nobody holds has ended in either form.
    keys = ["" if engine in IN_COOKIES else key_of(client) for client in clients]
    found = in_clear()
    for row, key, auth_hash in zip(rows, keys, [hashes["now"]] * 2 + [""], strict=True):
        assert found.get(str(row.pk), found.get(row.pk.hex)) == (key, auth_hash)
    call_command("migrate", "demo", verbosity=0)
    after = list(SignedInSession.objects.order_by("pk").values())
    for one, other in zip(sealed, after, strict=True):
        assert one["sealed_key"] == other["sealed_key"]
        assert (one["auth_hash"] == other["auth_hash"]) == (one["id"] != rows[2].pk)
    write_throttle.recent_writes.clear()
    assert all(map(is_in, clients))
    page = clients[0].get("/devices/").content.decode()
    assert page.count("/sign-out/") == 3
    assert SignedInSession.objects.count() == 3
    clients[0].post(f"/devices/{rows[1].pk}/sign-out/")
    assert [is_in(client) for client in clients] == [True, False, True]
    assert SignedInSession.objects.filter(expires__gt=timezone.now()).count() == 2
    clients[0].post("/devices/sign-out-others/")
    assert [is_in(client) for client in clients] == [True, False, False]
