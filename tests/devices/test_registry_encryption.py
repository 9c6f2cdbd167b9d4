"""The registry stores session keys and session hashes only encrypted."""

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
from tests.families import IN_COOKIES, SERVER_ENGINES

ON_SERVER = on(*SERVER_ENGINES)
NEW_SECRET_KEY = "another-key-that-is-long-enough-for-django-0123456789abcdefghij"


@pytest.fixture
def rotate(settings: Settings) -> Callable[..., None]:
    def rotate(secret: str = NEW_SECRET_KEY, *, keep: bool = True) -> None:
        settings.SECRET_KEY_FALLBACKS = [running.SECRET_KEY] if keep else []
        settings.SECRET_KEY = secret
        # A process that is started with the new key has written nothing yet.
        write_throttle.recent_writes.clear()

    return rotate


def table_contents() -> str:
    """The contents of a backup of the database, except for the table of sessions."""
    names = set(connection.introspection.table_names()) - {"django_session"}
    with connection.cursor() as cursor:
        return "\n".join(str(rows_of(cursor, name)) for name in sorted(names))


def rows_of(cursor: Any, name: str) -> list[Any]:
    cursor.execute(f"SELECT * FROM {connection.ops.quote_name(name)}")
    rows: list[Any] = cursor.fetchall()
    return rows


def test_no_table_contains_a_session_key_or_hash(profile: str, admin: User, ada: User) -> None:
    """Sessions are ended in each possible place, since the admin's log records that."""
    client = browser(admin)
    others = [browser(ada) for _ in range(5)]
    keys = [key_of(each) for each in (client, *others)]
    hashes = [admin.get_session_auth_hash(), ada.get_session_auth_hash()]
    rows = [str(row_of(each).pk) for each in others]
    contents = [table_contents()]
    client.post(f"/admin/cookieproj_devices/signedinsession/{rows[0]}/delete/", {"post": "yes"})
    form = {"action": "delete_selected", "_selected_action": [rows[1]], "post": "yes"}
    client.post("/admin/cookieproj_devices/signedinsession/", form)
    if profile not in IN_COOKIES:
        name = inspector.encrypt(keys[3], inspector.KEY)
        client.post(f"/admin/cookieproj_engines/storedsession/{name}/delete/", {"post": "yes"})
    others[3].post("/lifecycle/flush/")
    others[4].post(f"/devices/{rows[3]}/sign-out/")
    contents.append(table_contents())
    others[4].post("/devices/sign-out-others/")
    call_command("signout", "ada", verbosity=0)
    contents.append(table_contents())
    assert LogEntry.objects.count() >= 4
    assert UUID(rows[0]).hex in contents[0].replace("-", "")
    parts = {part for key in keys for part in key.split(":") if len(part) > 20}
    assert not [part for part in {*keys, *parts, *hashes} if part in "\n".join(contents)]


@ON_SERVER
def test_request_that_updates_no_row_encrypts_nothing(profile: str, ada: User) -> None:
    client = browser(ada)
    with mock.patch.object(encryption, "cipher", side_effect=AssertionError):
        assert is_in(client)
        client.post("/sessions/set-item/")
        assert is_in(client)
        with pytest.raises(AssertionError):
            client.get("/devices/")


def test_ciphertext_is_decrypted_only_for_its_purpose() -> None:
    ciphertext = encryption.encrypt("0123456789abcdef", REGISTRY_SEAL)
    assert encryption.decrypt(ciphertext, REGISTRY_SEAL) == "0123456789abcdef"
    assert encryption.encrypt("0123456789abcdef", REGISTRY_SEAL) == ciphertext
    for purpose, context in (
        ("demo.inspector", []),
        (REGISTRY_SEAL, [b"x"]),
        (REGISTRY_SEAL, [b""]),
    ):
        with pytest.raises(encryption.DecryptionError):
            encryption.decrypt(ciphertext, purpose, *context)
    changed = ciphertext.replace(ciphertext[:2], "00")
    for invalid in ("", "x", ciphertext[:-2], changed, "é", ciphertext + "00"):
        with pytest.raises(encryption.DecryptionError):
            encryption.decrypt(invalid, REGISTRY_SEAL)


@ON_SERVER
def test_row_encrypted_with_fallback_key_works_everywhere(
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
    # Shown, and compared with the stored sessions.
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
    # Written again, the row no longer needs the older key.
    assert SignedInSession.objects.get(user=ada).sealed_key != before[rows[2].pk]
    assert SignedInSession.objects.get(user=ada) == rows[2]
    rotate(NEW_SECRET_KEY, keep=False)
    assert SignedInSession.objects.get(user=ada).session_key == keys[2]


@ON_SERVER
def test_session_with_undecryptable_row_has_ended(
    profile: str, ada: User, rotate: Callable[..., None]
) -> None:
    """The session hash depends on the same secret key."""
    client = browser(ada)
    rotate(keep=False)
    row = SignedInSession.objects.get()
    assert row.session_key == ""
    assert not stored_sessions.rows_with_session([row])
    assert not is_in(again(client))
    client = browser(ada)
    assert devices_of(ada) == [row_of(client)]


@ON_SERVER
def test_user_with_undecryptable_row_can_be_deleted(
    profile: str, ada: User, rotate: Callable[..., None]
) -> None:
    browser(ada)
    rotate(keep=False)
    ada.delete()
    assert not SignedInSession.objects.exists()


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def migrate_to_plain_text(
    request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> Iterator[Callable[[], object]]:
    """Connects a separate database. Calling it migrates back to when nothing was encrypted."""
    if request.param == "sqlite":
        url = copied(request.getfixturevalue("demo_database"), tmp_path)
    else:
        name = f"sealing_{uuid4().hex}"
        url = new_database(request.getfixturevalue(f"{request.param}_url"), name)
    with django_db_blocker.unblock(), connected(url):
        call_command("migrate", verbosity=0)
        yield lambda: call_command("migrate", "demo", "0003", verbosity=0)


def plain_text_rows() -> dict[str, tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, session_key, auth_hash FROM demo_signedinsession")
        return {str(row): (key, auth_hash) for row, key, auth_hash in cursor.fetchall()}


@pytest.mark.parametrize("engine", ["db", "signed_cookies"])
def test_migration_encrypts_existing_rows(
    engine: str, migrate_to_plain_text: Callable[[], object], settings: Settings, tmp_path: Path
) -> None:
    settings.SESSION_ENGINE = f"cookieproj.engines.{engine}"
    SignedInSession.objects.all().forget()
    ada, _created = User.objects.get_or_create(username="ada")
    User.objects.filter(pk=ada.pk).update(sign_outs=3)
    ada.refresh_from_db()
    clients = [Client(), Client(), Client()]
    for client in clients:
        client.force_login(ada)
    rows = [row_of(client) for client in clients]
    hashes = {"now": ada.get_session_auth_hash()}
    SignedInSession.objects.filter(pk=rows[2].pk).update(auth_hash=auth_hashes.digest("of another"))
    encrypted = list(SignedInSession.objects.order_by("pk").values())
    migrate_to_plain_text()
    # The row whose hash belongs to no session has ended in either form.
    keys = ["" if engine in IN_COOKIES else key_of(client) for client in clients]
    stored = plain_text_rows()
    for row, key, auth_hash in zip(rows, keys, [hashes["now"]] * 2 + [""], strict=True):
        assert stored.get(str(row.pk), stored.get(row.pk.hex)) == (key, auth_hash)
    call_command("migrate", "demo", verbosity=0)
    migrated = list(SignedInSession.objects.order_by("pk").values())
    for before, after in zip(encrypted, migrated, strict=True):
        assert before["sealed_key"] == after["sealed_key"]
        assert (before["auth_hash"] == after["auth_hash"]) == (before["id"] != rows[2].pk)
    write_throttle.recent_writes.clear()
    assert all(map(is_in, clients))
    page = clients[0].get("/devices/").content.decode()
    assert page.count('aria-label="Sign out') == 3
    assert SignedInSession.objects.count() == 3
    clients[0].post(f"/devices/{rows[1].pk}/sign-out/")
    assert [is_in(client) for client in clients] == [True, False, True]
    assert SignedInSession.objects.filter(expires__gt=timezone.now()).count() == 2
    clients[0].post("/devices/sign-out-others/")
    assert [is_in(client) for client in clients] == [True, False, False]
