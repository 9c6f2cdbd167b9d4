"""Whose a stored session is: nobody sees the data of a superuser's, whatever names them."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.db import connection, models
from django.test.utils import isolate_apps

from cookieproj.engines import inspector
from cookieproj.engines.admin import StoredSessionAdmin
from cookieproj.engines.entries import Entry, ListedSession
from cookieproj.engines.models import StoredSession
from demo.models import User
from tests.browsers import browser
from tests.conftest import on

LISTABLE = on("db", "cache", "file", "cached_db")
HIDDEN = "Nobody gets to see the data"


def listed(user: Any, **data: Any) -> ListedSession:
    held = {**data, SESSION_KEY: user}
    return ListedSession("k" * 32, b"", Entry(None, lambda: held))


def data_of(session: StoredSession) -> str:
    page = StoredSessionAdmin(StoredSession, site)
    return str(page.data(session))


@pytest.fixture
def members(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A user model whose keys are UUIDs."""
    with isolate_apps("demo"):

        class Member(models.Model):
            id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
            is_superuser = models.BooleanField()

            class Meta:
                app_label = "demo"

            def __str__(self) -> str:
                return str(self.pk)

        columns = [f"{each.column} {each.db_type(connection)}" for each in Member._meta.fields]
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {Member._meta.db_table} ({', '.join(columns)})")
        monkeypatch.setattr(inspector, "get_user_model", lambda: Member)
        yield Member


def test_users_are_found_whose_keys_are_uuids(members: Any) -> None:
    boss, other = (members.objects.create(is_superuser=flag) for flag in (True, False))
    spelled = [str(boss.pk), boss.pk.hex, str(other.pk)]
    found = inspector.with_users([listed(pk, color="blue") for pk in spelled])
    assert [session.user for session in found] == [boss, boss, other]
    assert [HIDDEN in data_of(session) for session in found] == [True, True, False]
    assert ["blue" in data_of(session) for session in found] == [False, False, True]


def test_what_is_no_uuid_is_nobody_known(members: Any) -> None:
    odd: list[Any] = ["1", "x", "", [1], {}, 1.5, float("inf"), "9" * 5000, "\0", uuid.uuid4().hex]
    for pk in odd:
        (found,) = inspector.with_users([listed(pk, color="blue")])
        assert found.user is None
        assert "blue" not in data_of(found)


@LISTABLE
@pytest.mark.parametrize("spelled", ["{}", " {} ", "+{}", "0{}", "{}.0"])
def test_a_superuser_is_known_by_whatever_signs_them_in(
    spelled: str, profile: str, store: type[SessionBase], admin: User
) -> None:
    """Django finds the user by what makes a primary key, and so does the admin."""
    session = store()
    pk = spelled.format(admin.pk)
    session[SESSION_KEY] = float(pk) if "." in pk else pk
    session["color"] = "secret blue"
    session.save()
    page = look(session, admin)
    assert HIDDEN in page
    assert "secret blue" not in page


def look(session: SessionBase, admin: User) -> str:
    name = inspector.encrypt(str(session.session_key), inspector.KEY)
    return (
        browser(admin)
        .get(f"/admin/cookieproj_engines/storedsession/{name}/change/")
        .content.decode()
    )


@LISTABLE
@pytest.mark.parametrize("pk", ["123456789", "0", "9" * 18])
def test_a_user_who_is_not_found_may_be_anybody(
    pk: str, profile: str, store: type[SessionBase], admin: User
) -> None:
    session = store()
    session[SESSION_KEY] = pk
    session["color"] = "secret blue"
    session.save()
    page = look(session, admin)
    assert HIDDEN in page
    assert "secret blue" not in page
    rows = (
        browser(admin).get("/admin/cookieproj_engines/storedsession/").content.decode().split("<tr")
    )
    (row,) = [row for row in rows if f"{str(session.session_key)[:8]}…" in row]
    assert "unknown" in row
    assert "anonymous" not in row


@LISTABLE
def test_nobodys_data_is_shown(profile: str, store: type[SessionBase], admin: User) -> None:
    session = store()
    session["color"] = "plain blue"
    session.save()
    assert "plain blue" in look(session, admin)
