"""The user of a stored session: a superuser's data are hidden, however the id is written."""

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
from tests.families import SERVER_ENGINES

LISTABLE = on(*SERVER_ENGINES)
HIDDEN = "Nobody gets to see the data"


def listed(user: Any, **data: Any) -> ListedSession:
    items = {**data, SESSION_KEY: user}
    return ListedSession("k" * 32, b"", Entry(None, lambda: items))


def data_of(session: StoredSession) -> str:
    page = StoredSessionAdmin(StoredSession, site)
    return str(page.data(session))


@pytest.fixture
def members(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A user model whose primary keys are UUIDs."""
    with isolate_apps("demo"):

        class Member(models.Model):
            id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
            is_superuser = models.BooleanField()

            class Meta:
                app_label = "demo"

            def __str__(self) -> str:
                return str(self.pk)

        columns = [f"{field.column} {field.db_type(connection)}" for field in Member._meta.fields]
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {Member._meta.db_table} ({', '.join(columns)})")
        monkeypatch.setattr(inspector, "get_user_model", lambda: Member)
        yield Member


def test_users_with_uuid_keys_are_found(members: Any) -> None:
    boss, member = (members.objects.create(is_superuser=flag) for flag in (True, False))
    pks = [str(boss.pk), boss.pk.hex, str(member.pk)]
    sessions = inspector.with_users([listed(pk, color="blue") for pk in pks])
    assert [session.user for session in sessions] == [boss, boss, member]
    assert [HIDDEN in data_of(session) for session in sessions] == [True, True, False]
    assert ["blue" in data_of(session) for session in sessions] == [False, False, True]


def test_invalid_uuid_is_unknown_user(members: Any) -> None:
    invalid: list[Any] = [
        "1",
        "x",
        "",
        [1],
        {},
        1.5,
        float("inf"),
        "9" * 5000,
        "\0",
        uuid.uuid4().hex,
    ]
    for pk in invalid:
        (session,) = inspector.with_users([listed(pk, color="blue")])
        assert session.user is None
        assert "blue" not in data_of(session)


@LISTABLE
@pytest.mark.parametrize("pattern", ["{}", " {} ", "+{}", "0{}", "{}.0"])
def test_superuser_is_recognized_by_every_spelling_of_the_id(
    pattern: str, profile: str, store: type[SessionBase], admin: User
) -> None:
    """Django converts the value to a primary key, and so does the admin."""
    session = store()
    pk = pattern.format(admin.pk)
    session[SESSION_KEY] = float(pk) if "." in pk else pk
    session["color"] = "secret blue"
    session.save()
    page = session_page(session, admin)
    assert HIDDEN in page
    assert "secret blue" not in page


def session_page(session: SessionBase, admin: User) -> str:
    name = inspector.encrypt(str(session.session_key), inspector.KEY)
    return (
        browser(admin)
        .get(f"/admin/cookieproj_engines/storedsession/{name}/change/")
        .content.decode()
    )


@LISTABLE
@pytest.mark.parametrize("pk", ["123456789", "0", "9" * 18])
def test_data_of_unknown_user_are_hidden(
    pk: str, profile: str, store: type[SessionBase], admin: User
) -> None:
    session = store()
    session[SESSION_KEY] = pk
    session["color"] = "secret blue"
    session.save()
    page = session_page(session, admin)
    assert HIDDEN in page
    assert "secret blue" not in page
    rows = (
        browser(admin).get("/admin/cookieproj_engines/storedsession/").content.decode().split("<tr")
    )
    (row,) = [row for row in rows if f"{str(session.session_key)[:8]}…" in row]
    assert "unknown" in row
    assert "anonymous" not in row


@LISTABLE
def test_data_of_anonymous_session_are_shown(
    profile: str, store: type[SessionBase], admin: User
) -> None:
    session = store()
    session["color"] = "plain blue"
    session.save()
    assert "plain blue" in session_page(session, admin)
