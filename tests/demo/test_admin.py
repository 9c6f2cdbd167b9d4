"""The admin: who is signed in and what is stored, without a key, on every profile."""

import os
import re
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from unittest import mock

import pytest
import time_machine
from django.conf import settings as django_settings
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission
from django.contrib.sessions.backends.base import SessionBase
from django.core.cache import caches as cache_connections
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoDbBlocker, Settings

from cookieproj.devices.admin_filters import CappedPaginator
from cookieproj.devices.constants import ROW_ITEM
from cookieproj.devices.models import SignedInSession
from cookieproj.engines import inspector
from cookieproj.engines.cache import SessionStore
from cookieproj.engines.caches import adapter_for
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.settings.caches import caches
from demo.models import User
from tests.browsers import FIREFOX, IPHONE, browser, is_in, key_of, row_of
from tests.conftest import connected, on
from tests.families import IN_COOKIES

STORED = "/admin/cookieproj_engines/storedsession/"
SIGNED_IN = "/admin/cookieproj_devices/signedinsession/"
USERS = "/admin/demo/user/"
# The pages of the two apps, with what is counted.
STORE, DEVICES = "/admin/cookieproj_engines/", "/admin/cookieproj_devices/"
LISTABLE = on("db", "cache", "file", "cached_db")
GRANDMA = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0"


@pytest.fixture
def client(admin: User) -> Client:
    """A browser that is signed in as the administrator."""
    return browser(admin, address="203.0.113.1")


def staff(user: User, *permissions: str) -> Client:
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    assert user.user_permissions.count() == len(permissions)
    return browser(user)


def stored(store: type[SessionBase], **data: object) -> str:
    session = store()
    session.update(data)
    session.save()
    return str(session.session_key)


def text(client: Client, path: str, **query: str) -> str:
    response = client.get(path, query)
    assert response.status_code == 200, response
    return response.content.decode()


def names(client: Client, **query: str) -> list[str]:
    """What the list of signed-in sessions shows as their users."""
    return re.findall(r'field-user[^"]*"><a[^>]*>(\w+)<', text(client, SIGNED_IN, **query))


def stored_page(key: str) -> str:
    return f"{STORED}{inspector.encrypt(key, inspector.KEY)}/change/"


@LISTABLE
def test_the_list_shows_part_of_the_key_user_and_size(
    profile: str, store: type[SessionBase], client: Client, ada: User
) -> None:
    key = stored(store, color="blue")
    browser(ada)
    page = text(client, STORED)
    row = next(part for part in page.split("<tr") if f"{key[:8]}…" in part)
    assert "anonymous" in row
    assert f'field-size">{len(store(key).locate()[0].payload)}<' in row  # type: ignore[attr-defined]
    assert ">ada<" in page
    assert key not in page
    assert key_of(client) not in page


@LISTABLE
def test_the_users_of_a_page_are_read_at_once(
    profile: str, store: type[SessionBase], client: Client, ada: User
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            text(client, STORED)
        return len(captured)

    browser(ada)
    few = queries()
    for number in range(5):
        Client().force_login(User.objects.create(username=f"user{number}"))
    assert queries() == few


@LISTABLE
def test_the_pages_together_show_every_session(
    profile: str, store: type[SessionBase], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspector, "PAGE_SIZE", 2)
    keys = {stored(store, number=number) for number in range(7)} | {key_of(client)}
    shown: list[str] = []
    start = ""
    while True:
        page = text(client, STORED, **({"start": start} if start else {}))
        shown += re.findall(r">(\w{8})…<", page)
        assert ("First page" in page) == bool(start)
        following = re.search(r'\?start=([\w%-]+)">Next page', page)
        if following is None:
            break
        start = following[1]
        assert not any(key in start for key in keys)
    assert sorted(shown) == sorted(key[:8] for key in keys)


@on("file")
def test_a_page_of_expired_files_leads_on(
    profile: str, settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspector, "PAGE_SIZE", 1)
    for number in range(30):
        path = Path(settings.SESSION_FILE_PATH) / f"sessionid{number:032}"
        path.touch()
        os.utime(path, (0, 0))
    page, pages = text(client, STORED), 1
    while following := re.search(r'\?start=(\w+)">Next page', page):
        assert "No session is stored." not in page
        page, pages = text(client, STORED, start=following[1]), pages + 1
    assert pages > 2


@LISTABLE
@pytest.mark.parametrize("start", ["x", "ö", "a" * 64, inspector.KEY.decode()])
def test_a_page_that_is_none_is_the_first_and_says_so(
    start: str, profile: str, client: Client
) -> None:
    response = client.get(STORED, {"start": start}, follow=True)
    assert response.redirect_chain == [(STORED, 302)]
    assert "no such page of the list" in response.content.decode()


@on("db", "cache", "file")
def test_a_place_in_the_list_of_another_engine_is_none_here(
    profile: str, settings: Settings, client: Client
) -> None:
    engine = settings.SESSION_ENGINE
    settings.SESSION_ENGINE = "cookieproj.engines.cached_db"
    start = inspector.encrypt("k" * 32, inspector.POSITION)
    settings.SESSION_ENGINE = engine
    assert client.get(STORED, {"start": start}).status_code == 302


@on("db")
def test_deleting_a_stored_session_leaves_the_rows_of_other_engines(
    profile: str, client: Client, ada: User
) -> None:
    other = browser(ada)
    SignedInSession.objects.filter(user=ada).update(engine="file")
    client.post(stored_page(key_of(other)).replace("change", "delete"), {"post": "yes"})
    assert SignedInSession.objects.filter(user=ada).exists()


@on("db")
def test_the_name_of_a_session_is_no_place_in_the_list(profile: str, client: Client) -> None:
    name = inspector.encrypt(key_of(client), inspector.KEY)
    assert client.get(STORED, {"start": name}).status_code == 302


def test_what_cannot_be_listed_says_why(profile: str, settings: Settings, client: Client) -> None:
    if profile in IN_COOKIES:
        why = "each is kept by its browser alone"
    else:
        settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{profile}"
        why = f"{settings.SESSION_ENGINE} does not list its sessions."
    assert why in text(client, STORED)
    if profile not in IN_COOKIES:
        response = client.get(stored_page(key_of(client)), follow=True)
        assert "exist. Perhaps it was deleted" in response.content.decode()


@on("cache")
def test_nor_can_the_memory_of_a_process(profile: str, settings: Settings, admin: User) -> None:
    settings.CACHES = caches("locmem://")
    assert "in the memory of one process cannot be listed" in text(browser(admin), STORED)


@LISTABLE
def test_one_session_shows_its_data_and_not_what_signs_in(
    profile: str, store: type[SessionBase], client: Client, ada: User
) -> None:
    other = browser(ada)
    other.post("/sessions/set-item/", {"value": "你好"})
    session = other.session
    session["_password_reset_token"] = "token-that-resets"
    session.save()
    key = key_of(other)
    page = text(client, stored_page(key))
    assert "你好" in page
    assert f"{key[:8]}…" in page
    assert key not in page
    assert ada.get_session_auth_hash() not in page
    assert "token-that-resets" not in page
    assert "<input" not in page.split("<fieldset")[1].split("</fieldset>")[0]


@LISTABLE
def test_whatever_a_session_holds_it_is_shown(
    profile: str, store: type[SessionBase], client: Client, admin: User
) -> None:
    half = stored(store, half="\ud800")
    by_number = stored(store, _auth_user_id=admin.pk)
    users: list[object] = [[1], "9" * 30, "-", {}, 1.5]
    # Ours refuses to save some of these.
    djangos = import_module(f"django.contrib.sessions.backends.{profile}").SessionStore
    odd = [stored(djangos, _auth_user_id=pk) for pk in users]
    page = text(client, STORED)
    for key in (half, by_number, *odd):
        assert f"{key[:8]}…" in page
        text(client, stored_page(key))
    row = next(part for part in page.split("<tr") if f"{by_number[:8]}…" in part)
    assert ">admin<" in row


@on("db")
def test_every_name_of_a_session_is_an_address(profile: str, client: Client) -> None:
    """The admin takes an underscore in one for an escape."""
    names = {inspector.encrypt(f"{number:032}", inspector.KEY) for number in range(300)}
    assert all(quote(name) == name for name in names)
    assert len(names) == 300


@LISTABLE
def test_nobody_sees_the_data_of_a_superusers_session(
    profile: str, client: Client, admin: User
) -> None:
    other = browser(admin)
    other.post("/sessions/set-item/", {"value": "secret"})
    page = text(client, stored_page(key_of(other)))
    assert "Nobody gets to see the data of a superuser" in page
    assert "secret" not in page
    assert key_of(other) not in page


@LISTABLE
def test_deleting_a_stored_session_ends_it_and_the_log_does_not_tell_its_key(
    profile: str, client: Client, ada: User
) -> None:
    other = browser(ada)
    key = key_of(other)
    delete = stored_page(key).replace("change", "delete")
    question = text(client, delete)
    answer = client.post(delete, {"post": "yes"}, follow=True).content.decode()
    assert key not in question + answer
    assert f"{key[:8]}…" in question
    entry = LogEntry.objects.get()
    assert entry.object_repr == f"{key[:8]}…, ada"
    assert key not in str(vars(entry))
    assert not SignedInSession.objects.filter(user=ada).exists()
    assert not is_in(other)
    assert is_in(client)


@on("db")
@pytest.mark.parametrize("made_up", ["x", "ä", "aaaaaaaa-" + "0" * 32, "a" * 200])
def test_a_name_that_is_none(made_up: str, profile: str, client: Client) -> None:
    response = client.get(f"{STORED}{made_up}/change/", follow=True)
    assert "exist. Perhaps it was deleted" in response.content.decode()


@LISTABLE
def test_a_session_that_has_ended_meanwhile(
    profile: str, store: type[SessionBase], client: Client
) -> None:
    key = stored(store, color="blue")
    store().delete(key)
    response = client.get(stored_page(key), follow=True)
    assert "exist. Perhaps it was deleted" in response.content.decode()


@on("db")
def test_a_list_in_a_store_that_is_away_is_a_503(profile: str, client: Client) -> None:
    away = StoreUnavailableError("there", "gone")
    with mock.patch("cookieproj.engines.inspector.page", side_effect=away):
        assert client.get(STORED).status_code == 503


def test_the_signed_in_are_listed_without_their_keys(
    profile: str, client: Client, ada: User
) -> None:
    other = browser(ada, IPHONE, "198.51.100.7")
    page = text(client, SIGNED_IN)
    assert names(client) == ["ada", "admin"]
    assert "Mobile Safari on iOS" in page
    assert "198.51.100.7" in page
    one = text(client, f"{SIGNED_IN}{row_of(other).pk}/change/")
    for shown in (page, one):
        assert key_of(other) not in shown
        assert key_of(client) not in shown
        assert ada.get_session_auth_hash() not in shown
        expected = "held by the browser" if profile in IN_COOKIES else key_of(other)[:8]
        assert expected in shown


@on("db")
def test_they_are_found_by_user_and_address(profile: str, client: Client, ada: User) -> None:
    browser(ada, address="198.51.100.7")
    assert names(client, q="ada") == ["ada"]
    assert names(client, q="ADA") == ["ada"]
    assert names(client, q="198.51.") == ["ada"]
    assert names(client, q="203.0.113.1") == ["admin"]
    assert names(client, q="nobody") == []


@on("db")
def test_and_filtered_by_engine_device_and_date(profile: str, client: Client, ada: User) -> None:
    other = browser(ada, IPHONE)
    with time_machine.travel(timezone.now() - timedelta(days=3)):
        browser(ada, GRANDMA)
    SignedInSession.objects.filter(pk=row_of(other).pk).update(engine="file")
    assert names(client, engine="file") == ["ada"]
    assert names(client, engine="db") == ["admin", "ada"]
    assert names(client, system="iOS") == ["ada"]
    assert names(client, system="Windows") == ["ada"]
    assert names(client, system="BeOS") == []
    yesterday = str(timezone.now() - timedelta(days=1))
    assert names(client, signed_in_at__gte=yesterday) == ["ada", "admin"]
    page = text(client, SIGNED_IN)
    for choice in ("?engine=db", "?engine=file", "?system=Linux", "?system=iOS", "?system=Windows"):
        assert f'href="{choice}"' in page


@on("db")
def test_the_ended_and_the_expired_are_not_listed(profile: str, client: Client, ada: User) -> None:
    browser(ada)
    ada.set_password("another")
    ada.save()
    assert names(client) == ["admin"]


@on("db")
def test_nothing_offers_to_select_what_is_beyond_reach(
    profile: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cookieproj.devices.admin.SignedInSessionAdmin.list_per_page", 2)
    for _ in range(3):
        Client().force_login(User.objects.get())
    assert 'class="question"' not in text(client, SIGNED_IN)


@on("db")
@pytest.mark.parametrize("name", ["engine", "system"])
def test_a_value_that_no_column_holds(name: str, profile: str, client: Client) -> None:
    response = client.get(SIGNED_IN, {name: "\0"}, follow=True)
    assert response.redirect_chain == [(f"{SIGNED_IN}?e=1", 302)]


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("demo/user", "username__regex", "("),
        ("demo/user", "username__exact", "\0"),
        ("demo/user", "date_joined__year", "99999"),
        ("auth/group", "name__exact", "\0"),
        ("cookieproj_devices/signedinsession", "address", "abc"),
        ("cookieproj_devices/signedinsession", "address", "127.0.0.1/8"),
    ],
)
def test_what_a_database_cannot_look_up(
    path: str, name: str, value: str, stores: dict[str, str], django_db_blocker: DjangoDbBlocker
) -> None:
    """Found out in the query: PostgreSQL takes no NUL, and no address that is none."""
    with django_db_blocker.unblock(), connected(stores["DATABASE_URL"]):
        client = Client()
        client.force_login(User.objects.get(username="admin"))
        response = client.get(f"/admin/{path}/", {name: value}, follow=True)
        client.logout()
    assert response.redirect_chain == [(f"/admin/{path}/?e=1", 302)]
    assert response.status_code == 200


@pytest.mark.parametrize(
    "page", ["demo/user/{}/delete", "demo/user/{}/change", "auth/group/9/delete"]
)
def test_a_field_without_a_name(page: str, client: Client, admin: User) -> None:
    path = f"/admin/{page.format(admin.pk)}/"
    assert client.get(f"{path}?_to_field=").status_code == client.get(path).status_code


@on("db")
def test_the_list_counts_no_further_than_it_leads(
    profile: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CaptureQueriesContext(connection) as captured:
        text(client, SIGNED_IN)
    counts = [query["sql"] for query in captured if "COUNT(" in query["sql"]]
    assert counts
    assert all("LIMIT 10000" in sql for sql in counts)
    monkeypatch.setattr("cookieproj.devices.admin_filters.MAX_ROWS_LISTED", 2)
    for _ in range(3):
        Client().force_login(User.objects.get())
    assert CappedPaginator(SignedInSession.objects.order_by("pk"), 1).count == 2


def test_signing_out_the_selected(profile: str, client: Client, ada: User, admin: User) -> None:
    others = [browser(ada), browser(ada, IPHONE)]
    third = browser(ada)
    selected = [str(row_of(other).pk) for other in others]
    form = {"action": "delete_selected", "_selected_action": selected}
    assert "Sign out selected" in text(client, SIGNED_IN)
    question = client.post(SIGNED_IN, form).content.decode()
    assert "ada, Mobile Safari on iOS" in question
    client.post(SIGNED_IN, {**form, "post": "yes"})
    assert [is_in(other) for other in (*others, third)] == [False, False, True]
    entries = LogEntry.objects.all()
    assert {(entry.user, entry.object_id) for entry in entries} == {(admin, pk) for pk in selected}


@on("db", "cache", "file")
def test_what_the_store_refuses_to_end_is_not_in_the_log(
    profile: str, client: Client, ada: User
) -> None:
    other = browser(ada)
    row = str(row_of(other).pk)
    away = StoreUnavailableError("there", "gone")
    form = {"action": "delete_selected", "_selected_action": [row], "post": "yes"}
    with mock.patch("cookieproj.devices.stored_sessions.delete_stored_session", side_effect=away):
        assert client.post(SIGNED_IN, form).status_code == 503
        assert client.post(f"{SIGNED_IN}{row}/delete/", {"post": "yes"}).status_code == 503
    assert is_in(other)
    assert SignedInSession.objects.filter(pk=row).exists()
    assert not LogEntry.objects.exists()


def test_signing_out_one_of_them(profile: str, client: Client, ada: User) -> None:
    other = browser(ada)
    client.post(f"{SIGNED_IN}{row_of(other).pk}/delete/", {"post": "yes"})
    assert not is_in(other)
    assert LogEntry.objects.get().object_repr == "ada, Firefox on Linux, 192.0.2.1"


def test_signing_out_everywhere_the_users_of_the_selected(
    profile: str, client: Client, ada: User
) -> None:
    others = [browser(ada), browser(ada)]
    form = {"action": "sign_out_users", "_selected_action": [str(row_of(others[0]).pk)]}
    page = client.post(SIGNED_IN, form, follow=True).content.decode()
    assert "1 user is signed out everywhere: ada." in page
    assert [is_in(other) for other in others] == [False, False]
    assert is_in(client)


def test_signing_out_users_everywhere(profile: str, client: Client, ada: User, admin: User) -> None:
    others = [browser(ada), browser(admin)]
    form = {"action": "sign_out", "_selected_action": [ada.pk, admin.pk]}
    page = client.post(USERS, form, follow=True).content.decode()
    assert "2 users are signed out everywhere: ada, admin." in page
    assert "Your current session stays signed in." in page
    assert [is_in(other) for other in others] == [False, False]
    assert is_in(client)
    entries = LogEntry.objects.all()
    assert {(entry.object_repr, entry.change_message) for entry in entries} == {
        ("ada", "Signed out everywhere."),
        ("admin", "Signed out everywhere."),
    }


def test_where_one_cannot_be_ended_the_list_says_so_before(
    admin: User, ada: User, settings: Settings
) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    client, other = browser(admin), browser(ada)
    page = text(client, SIGNED_IN)
    assert "the server cannot end a single one" in page
    assert "Sign out selected" not in page
    assert "Sign out everywhere the users" in page
    delete = f"{SIGNED_IN}{row_of(other).pk}/delete/"
    assert client.post(delete, {"post": "yes"}).status_code == 403
    assert delete not in text(client, delete.replace("delete", "change"))
    assert is_in(other)
    assert SignedInSession.objects.filter(user=ada).exists()
    form = {"action": "sign_out_users", "_selected_action": [str(row_of(other).pk)]}
    client.post(SIGNED_IN, form)
    assert not is_in(other)
    client.post(f"{USERS}{ada.pk}/delete/", {"post": "yes"})
    assert not User.objects.filter(pk=ada.pk).exists()


def test_staff_without_a_permission_see_and_end_nothing(
    profile: str, ada: User, admin: User
) -> None:
    client, other = staff(ada), browser(admin)
    for path in (STORED, SIGNED_IN, f"{SIGNED_IN}{row_of(other).pk}/change/"):
        assert client.get(path).status_code == 403
    delete = f"{SIGNED_IN}{row_of(other).pk}/delete/"
    assert client.post(delete, {"post": "yes"}).status_code == 403
    page = text(client, "/admin/")
    assert STORED not in page
    assert SIGNED_IN not in page
    assert is_in(other)


@LISTABLE
def test_to_see_data_and_to_end_sessions_are_two_permissions(
    profile: str, ada: User, admin: User, store: type[SessionBase]
) -> None:
    key = stored(store, color="blue")
    delete = stored_page(key).replace("change", "delete")
    sees = staff(ada, "view_storedsession")
    assert "blue" in text(sees, stored_page(key))
    assert sees.post(delete, {"post": "yes"}).status_code == 403
    assert sees.get(SIGNED_IN).status_code == 403
    assert store().exists(key)
    ends = staff(User.objects.create_user("grace", password="cookies"), "delete_storedsession")
    assert ends.get(stored_page(key)).status_code == 403
    assert ends.get(STORED).status_code == 403
    ends.post(delete, {"post": "yes"})
    assert not store().exists(key)


def test_and_so_it_is_with_the_signed_in(profile: str, ada: User, admin: User) -> None:
    other = browser(admin)
    sees = staff(ada, "view_signedinsession", "view_user")
    assert names(sees) == ["ada", "admin"]
    row = row_of(other)
    assert sees.post(f"{SIGNED_IN}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    for path, action in ((SIGNED_IN, "sign_out_users"), (USERS, "sign_out")):
        chosen = row.pk if path == SIGNED_IN else admin.pk
        sees.post(path, {"action": action, "_selected_action": [str(chosen)]})
    assert is_in(other)
    assert "Sign out" not in text(sees, SIGNED_IN).split("changelist-form")[1]


def test_who_deletes_a_user_sees_only_what_is_allowed(profile: str, ada: User, admin: User) -> None:
    browser(admin, IPHONE, "203.0.113.7")
    client = staff(ada, "delete_user", "view_user")
    question = text(client, f"{USERS}{admin.pk}/delete/")
    assert "203.0.113.7" not in question
    assert "Mobile Safari" not in question
    assert 'type="submit"' in question
    ada.user_permissions.add(Permission.objects.get(codename="view_signedinsession"))
    assert "203.0.113.7" in text(client, f"{USERS}{admin.pk}/delete/")
    client.post(f"{USERS}{admin.pk}/delete/", {"post": "yes"})
    assert not User.objects.filter(pk=admin.pk).exists()


def test_nobody_makes_or_changes_one(profile: str, client: Client) -> None:
    for path in (STORED, SIGNED_IN):
        assert client.get(f"{path}add/").status_code == 403
    change = f"{SIGNED_IN}{row_of(client).pk}/change/"
    assert client.post(change, {"address": "1.1.1.1"}).status_code == 403


def figures(page: str) -> dict[str, str]:
    return dict(re.findall(r"<dt>([^<]+)</dt><dd[^>]*>([^<]+)</dd>", page))


def test_the_overview_counts(
    profile: str, client: Client, ada: User, store: type[SessionBase]
) -> None:
    browser(ada, FIREFOX)
    browser(ada, IPHONE)
    expired = store()
    expired.set_expiry(-60)
    expired.save()
    seen = figures(text(client, STORE)) | figures(text(client, DEVICES))
    assert seen["Signed in"] == "3"
    if profile in IN_COOKIES:
        assert "kept by its browser alone" in seen["Stored"]
    else:
        # Redis forgets by itself.
        assert seen["Stored"] == ("3" if profile == "cache" else "4")
        assert seen["Expired, to be cleared"] == ("0" if profile == "cache" else "1")


@on("cache")
def test_the_overview_says_that_a_count_is_estimated(
    profile: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = cache_connections["sessions"].make_key(SessionStore.cache_key_prefix)
    redis = adapter_for(cache_connections["sessions"]).client  # type: ignore[attr-defined]
    redis.mset({f"{name}{number}": "{}" for number in range(4999)})
    assert figures(text(client, STORE))["Stored"] == "5,000"
    monkeypatch.setattr("cookieproj.engines.caches.redis_listing.COUNT_SAMPLE_SIZE", 2000)
    assert figures(text(client, STORE))["Stored"] == "about 5,000"


@on("cache")
def test_where_names_hide_the_keys_the_admin_says_so(
    profile: str, client: Client, settings: Settings
) -> None:
    hashed = {"KEY_FUNCTION": "tests.engines.test_redis_count.hashed"}
    settings.CACHES = settings.CACHES | {"sessions": settings.CACHES["sessions"] | hashed}
    client = browser(User.objects.get(username="admin"))
    for path in (STORE, STORED):
        assert "KEY_FUNCTION" in text(client, path)


@on("db")
def test_the_chart_is_drawn_by_day(profile: str, client: Client, ada: User) -> None:
    now = timezone.now()
    for days, number in ((3, 2), (13, 1), (14, 5)):
        with time_machine.travel(now - timedelta(days=days)):
            for _ in range(number):
                browser(ada)
    SignedInSession.objects.update(expires=now + timedelta(days=1))
    page = text(client, DEVICES)
    titles = re.findall(r"<title>([^<:]+): (\d+)</title>", page)
    drawn = [now - timedelta(days=before) for before in (13, 3, 0)]
    shown = [f"{day.day} {day:%b}" for day in drawn]
    assert titles == list(zip(shown, ["1", "2", "1"], strict=True))
    bars = re.findall(r'<rect x="(\d+)" y="([\d.]+)" width="20" height="([\d.]+)"', page)
    assert [tuple(map(float, bar)) for bar in bars] == [(2, 50, 54), (242, 0, 104), (314, 50, 54)]


def test_the_overview_shows_what_one_may_know(profile: str, ada: User) -> None:
    client = staff(ada, "view_signedinsession")
    assert figures(text(client, DEVICES)) == {"Signed in": "1"}
    assert client.get(STORE).status_code == 404
    ada.user_permissions.set(Permission.objects.filter(codename="view_storedsession"))
    assert client.get(DEVICES).status_code == 404
    assert "Stored" in figures(text(client, STORE))


@on("db")
def test_the_overview_of_a_store_that_is_away_says_so(profile: str, client: Client) -> None:
    away = StoreUnavailableError("there", "gone")
    with mock.patch("cookieproj.engines.db.SessionStore.count", side_effect=away):
        assert "The session store is unavailable" in figures(text(client, STORE))["Stored"]


def test_users_are_there(profile: str, client: Client) -> None:
    assert client.get(USERS).status_code == 200


def test_the_cookie_is_the_only_place_of_a_key(profile: str, client: Client) -> None:
    """Of one's own too."""
    name = django_settings.SESSION_COOKIE_NAME
    for path in (STORE, DEVICES, SIGNED_IN, STORED, "/devices/"):
        assert client.cookies[name].value not in text(client, path)
    assert ROW_ITEM in client.session
