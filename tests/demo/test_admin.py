"""The admin: sessions without their keys, on the profiles that have the table."""

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.contrib.sessions.backends.base import SessionBase
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from demo.models import User
from tests.conftest import on

LIST = "/admin/demo/storedsession/"
WITH_TABLE = on("db", "cached_db")


@pytest.fixture
def client(client: Client, admin: User) -> Client:
    """A browser that is signed in as the administrator."""
    client.force_login(admin)
    return client


def stored(store: type[SessionBase], **data: object) -> str:
    session = store()
    session.update(data)
    session.save()
    return str(session.session_key)


def address_of(client: Client, key: str) -> str:
    """The address under which the list links a session, found by its shown beginning."""
    content = client.get(LIST).content.decode()
    return next(
        part for part in content.split('"') if part.startswith(LIST) and f"/{key[:8]}-" in part
    )


@WITH_TABLE
def test_list_shows_part_user_and_size(
    profile: str, store: type[SessionBase], client: Client, ada: User
) -> None:
    anonymous = stored(store, color="blue")
    browser = Client()
    browser.force_login(ada)
    content = client.get(LIST).content.decode()
    assert f"{anonymous[:8]}…" in content
    assert "anonymous" in content
    assert "ada" in content
    row = store.get_model_class().objects.get(session_key=anonymous)  # type: ignore[attr-defined]
    assert f'field-size">{len(row.session_data)}<' in content


@WITH_TABLE
def test_list_reads_the_users_of_a_page_at_once(
    profile: str, store: type[SessionBase], client: Client, ada: User
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get(LIST)
        return len(captured)

    Client().force_login(ada)
    few = queries()
    for number in range(5):
        Client().force_login(User.objects.create(username=f"user{number}"))
    assert queries() == few


@WITH_TABLE
def test_one_session_shows_its_data_and_not_its_key_or_hash(
    profile: str, store: type[SessionBase], client: Client, ada: User
) -> None:
    browser = Client()
    browser.force_login(ada)
    browser.post("/sessions/set-item/", {"value": "你好"})
    key = browser.cookies[settings.SESSION_COOKIE_NAME].value
    content = client.get(address_of(client, key)).content.decode()
    assert "你好" in content
    assert key[:8] in content
    assert key not in content
    assert ada.get_session_auth_hash() not in content
    assert "<input" not in content.split("<fieldset")[1].split("</fieldset>")[0]


@WITH_TABLE
def test_delete_ends_the_session_and_the_log_does_not_tell_its_key(
    profile: str, store: type[SessionBase], client: Client, ada: User
) -> None:
    browser = Client()
    browser.force_login(ada)
    key = browser.cookies[settings.SESSION_COOKIE_NAME].value
    delete = address_of(client, key).replace("change", "delete")
    question = client.get(delete).content.decode()
    answer = client.post(delete, {"post": "yes"}, follow=True).content.decode()
    assert key not in question + answer
    assert f"{key[:8]}…" in question
    entry = LogEntry.objects.get()
    assert key not in f"{entry.object_id} {entry.object_repr}"
    assert browser.get("/auth/account/").status_code == 302


@WITH_TABLE
@pytest.mark.parametrize("made_up", ["x", "aaaaaaaa-" + "0" * 32, "a" * 200])
def test_an_id_that_is_none(made_up: str, profile: str, client: Client) -> None:
    response = client.get(f"{LIST}{made_up}/change/", follow=True)
    assert "exist. Perhaps it was deleted" in response.content.decode()


@WITH_TABLE
def test_a_right_beginning_with_a_wrong_digest_finds_nothing(
    profile: str, store: type[SessionBase], client: Client
) -> None:
    key = stored(store, color="blue")
    response = client.get(f"{LIST}{key[:8]}-{'0' * 32}/change/", follow=True)
    assert "exist. Perhaps it was deleted" in response.content.decode()


@on("cache", "file", "signed_cookies")
def test_without_the_table_there_is_no_such_page(profile: str, client: Client) -> None:
    assert LIST not in client.get("/admin/").content.decode()
    assert client.get(LIST).status_code == 403


@WITH_TABLE
def test_staff_without_the_permission_see_nothing(profile: str, ada: User) -> None:
    ada.is_staff = True
    ada.save()
    browser = Client()
    browser.force_login(ada)
    assert browser.get(LIST).status_code == 403
    ada.user_permissions.add(Permission.objects.get(codename="view_storedsession"))
    assert browser.get(LIST).status_code == 200
    key = browser.cookies[settings.SESSION_COOKIE_NAME].value
    assert browser.get(address_of(browser, key).replace("change", "delete")).status_code == 403


def test_users_are_there(profile: str, client: Client) -> None:
    assert client.get(reverse("admin:demo_user_changelist")).status_code == 200
    assert client.get("/admin/demo/storedsession/add/").status_code == 403
