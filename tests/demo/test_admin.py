"""The admin shows and ends stored and signed-in sessions, and shows no key, on every profile."""

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
from cookieproj.engines.constants import DJANGO_ENGINES
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.settings.caches import caches
from demo.models import User
from tests.browsers import FIREFOX, IPHONE, browser, is_in, key_of, row_of
from tests.conftest import connected, on
from tests.families import IN_COOKIES, SERVER_ENGINES, mirrored

STORED = "/admin/cookieproj_engines/storedsession/"
SIGNED_IN = "/admin/cookieproj_devices/signedinsession/"
USERS = "/admin/demo/user/"
# The overviews of the two apps.
STORE, DEVICES = "/admin/cookieproj_engines/", "/admin/cookieproj_devices/"
LISTABLE = on(*SERVER_ENGINES)
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0"


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


def save_session(store: type[SessionBase], **data: object) -> str:
    session = store()
    session.update(data)
    session.save()
    return str(session.session_key)


def get_page(client: Client, path: str, **query: str) -> str:
    response = client.get(path, query)
    assert response.status_code == 200, response
    return response.content.decode()


def listed_users(client: Client, **query: str) -> list[str]:
    """Return the users in the list of signed-in sessions."""
    return re.findall(r'field-user[^"]*"><a[^>]*>(\w+)<', get_page(client, SIGNED_IN, **query))


def stored_session_url(key: str) -> str:
    return f"{STORED}{inspector.encrypt(key, inspector.KEY)}/change/"


@LISTABLE
def test_session_list_shows_key_prefix_user_and_size(
    profile: str, store: type[SessionBase], client: Client, ada: User
) -> None:
    key = save_session(store, color="blue")
    browser(ada)
    page = get_page(client, STORED)
    row = next(part for part in page.split("<tr") if f"{key[:8]}…" in part)
    assert "anonymous" in row
    assert f'field-size">{len(store(key).locate()[0].payload)}<' in row  # type: ignore[attr-defined]
    assert ">ada<" in page
    assert key not in page
    assert key_of(client) not in page


@LISTABLE
def test_session_list_reads_users_in_one_query(
    profile: str, store: type[SessionBase], client: Client, ada: User
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            get_page(client, STORED)
        return len(captured)

    browser(ada)
    query_count = queries()
    for number in range(5):
        Client().force_login(User.objects.create(username=f"user{number}"))
    assert queries() == query_count


@LISTABLE
def test_pages_list_every_session_once(
    profile: str, store: type[SessionBase], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspector, "PAGE_SIZE", 2)
    keys = {save_session(store, number=number) for number in range(7)} | {key_of(client)}
    shown: list[str] = []
    start = ""
    while True:
        page = get_page(client, STORED, **({"start": start} if start else {}))
        shown += re.findall(r">(\w{8})…<", page)
        assert ("First page" in page) == bool(start)
        following = re.search(r'\?start=([\w%-]+)">Next page', page)
        if following is None:
            break
        start = following[1]
        assert not any(key in start for key in keys)
    assert sorted(shown) == sorted(key[:8] for key in keys)


@on("file")
def test_page_of_expired_files_links_to_next_page(
    profile: str, settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspector, "PAGE_SIZE", 1)
    for number in range(30):
        path = Path(settings.SESSION_FILE_PATH) / f"sessionid{number:032}"
        path.touch()
        os.utime(path, (0, 0))
    page, pages = get_page(client, STORED), 1
    while following := re.search(r'\?start=(\w+)">Next page', page):
        assert "No session is stored." not in page
        page, pages = get_page(client, STORED, start=following[1]), pages + 1
    assert pages > 2


@LISTABLE
@pytest.mark.parametrize("start", ["x", "ö", "a" * 64, inspector.KEY.decode()])
def test_unknown_page_redirects_to_first_with_message(
    start: str, profile: str, client: Client
) -> None:
    response = client.get(STORED, {"start": start}, follow=True)
    assert response.redirect_chain == [(STORED, 302)]
    assert "no such page of the list" in response.content.decode()


@on("db", "cache", "file")
def test_position_of_another_engine_redirects_to_first_page(
    profile: str, settings: Settings, client: Client
) -> None:
    engine = settings.SESSION_ENGINE
    settings.SESSION_ENGINE = "cookieproj.engines.cached_db"
    start = inspector.encrypt("k" * 32, inspector.POSITION)
    settings.SESSION_ENGINE = engine
    assert client.get(STORED, {"start": start}).status_code == 302


@on("db")
def test_deleting_stored_session_keeps_rows_of_other_engines(
    profile: str, client: Client, ada: User
) -> None:
    visitor = browser(ada)
    SignedInSession.objects.filter(user=ada).update(engine="file")
    client.post(stored_session_url(key_of(visitor)).replace("change", "delete"), {"post": "yes"})
    assert SignedInSession.objects.filter(user=ada).exists()


@on("db")
def test_encrypted_key_is_not_a_position(profile: str, client: Client) -> None:
    name = inspector.encrypt(key_of(client), inspector.KEY)
    assert client.get(STORED, {"start": name}).status_code == 302


def test_unlistable_store_shows_reason(profile: str, settings: Settings, client: Client) -> None:
    if profile in IN_COOKIES:
        reason = "each is kept by its browser alone"
    else:
        settings.SESSION_ENGINE = DJANGO_ENGINES + mirrored(profile)
        reason = f"{settings.SESSION_ENGINE} does not list its sessions."
    assert reason in get_page(client, STORED)
    if profile not in IN_COOKIES:
        response = client.get(stored_session_url(key_of(client)), follow=True)
        assert "exist. Perhaps it was deleted" in response.content.decode()


@on("cache")
def test_local_memory_cache_shows_that_it_cannot_be_listed(
    profile: str, settings: Settings, admin: User
) -> None:
    settings.CACHES = caches("locmem://")
    assert "in the memory of one process cannot be listed" in get_page(browser(admin), STORED)


@LISTABLE
def test_session_page_shows_data_without_credentials(
    profile: str, store: type[SessionBase], client: Client, ada: User
) -> None:
    visitor = browser(ada)
    visitor.post("/sessions/set-item/", {"value": "你好"})
    session = visitor.session
    session["_password_reset_token"] = "token-that-resets"
    session.save()
    key = key_of(visitor)
    page = get_page(client, stored_session_url(key))
    assert "你好" in page
    assert f"{key[:8]}…" in page
    assert key not in page
    assert ada.get_session_auth_hash() not in page
    assert "token-that-resets" not in page
    assert "<input" not in page.split("<fieldset")[1].split("</fieldset>")[0]


@on("db", "cache", "file", "cached_db")
def test_sessions_with_unusual_data_are_shown(
    profile: str, store: type[SessionBase], client: Client, admin: User
) -> None:
    surrogate = save_session(store, surrogate="\ud800")
    by_number = save_session(store, _auth_user_id=admin.pk)
    users: list[object] = [[1], "9" * 30, "-", {}, 1.5]
    # Our engines refuse to save some of these.
    django_store = import_module(DJANGO_ENGINES + profile).SessionStore
    odd_keys = [save_session(django_store, _auth_user_id=pk) for pk in users]
    page = get_page(client, STORED)
    for key in (surrogate, by_number, *odd_keys):
        assert f"{key[:8]}…" in page
        get_page(client, stored_session_url(key))
    row = next(part for part in page.split("<tr") if f"{by_number[:8]}…" in part)
    assert ">admin<" in row


@on("db")
def test_encrypted_keys_need_no_quoting_in_urls(profile: str, client: Client) -> None:
    """An underscore in a primary key would be an escape in the admin's URLs."""
    pks = {inspector.encrypt(f"{number:032}", inspector.KEY) for number in range(300)}
    assert all(quote(pk) == pk for pk in pks)
    assert len(pks) == 300


@LISTABLE
def test_data_of_superusers_session_is_hidden(profile: str, client: Client, admin: User) -> None:
    visitor = browser(admin)
    visitor.post("/sessions/set-item/", {"value": "secret"})
    page = get_page(client, stored_session_url(key_of(visitor)))
    assert "Nobody gets to see the data of a superuser" in page
    assert "secret" not in page
    assert key_of(visitor) not in page


@LISTABLE
def test_deleting_stored_session_ends_it_and_logs_no_key(
    profile: str, client: Client, ada: User
) -> None:
    visitor = browser(ada)
    key = key_of(visitor)
    delete = stored_session_url(key).replace("change", "delete")
    confirmation = get_page(client, delete)
    result = client.post(delete, {"post": "yes"}, follow=True).content.decode()
    assert key not in confirmation + result
    assert f"{key[:8]}…" in confirmation
    entry = LogEntry.objects.get()
    assert entry.object_repr == f"{key[:8]}…, ada"
    assert key not in str(vars(entry))
    assert not SignedInSession.objects.filter(user=ada).exists()
    assert not is_in(visitor)
    assert is_in(client)


@on("db")
@pytest.mark.parametrize("made_up", ["x", "ä", "aaaaaaaa-" + "0" * 32, "a" * 200])
def test_invalid_encrypted_key_is_not_found(made_up: str, profile: str, client: Client) -> None:
    response = client.get(f"{STORED}{made_up}/change/", follow=True)
    assert "exist. Perhaps it was deleted" in response.content.decode()


@LISTABLE
def test_ended_session_is_not_found(profile: str, store: type[SessionBase], client: Client) -> None:
    key = save_session(store, color="blue")
    store().delete(key)
    response = client.get(stored_session_url(key), follow=True)
    assert "exist. Perhaps it was deleted" in response.content.decode()


@on("db")
def test_list_of_unreachable_store_is_503(profile: str, client: Client) -> None:
    unavailable = StoreUnavailableError("store", "no answer")
    with mock.patch("cookieproj.engines.inspector.page", side_effect=unavailable):
        assert client.get(STORED).status_code == 503


def test_signed_in_sessions_are_shown_without_keys(profile: str, client: Client, ada: User) -> None:
    visitor = browser(ada, IPHONE, "198.51.100.7")
    page = get_page(client, SIGNED_IN)
    assert listed_users(client) == ["ada", "admin"]
    assert "Mobile Safari on iOS" in page
    assert "198.51.100.7" in page
    detail = get_page(client, f"{SIGNED_IN}{row_of(visitor).pk}/change/")
    for shown in (page, detail):
        assert key_of(visitor) not in shown
        assert key_of(client) not in shown
        assert ada.get_session_auth_hash() not in shown
        expected = "held by the browser" if profile in IN_COOKIES else key_of(visitor)[:8]
        assert expected in shown


@on("db")
def test_search_by_user_and_address(profile: str, client: Client, ada: User) -> None:
    browser(ada, address="198.51.100.7")
    assert listed_users(client, q="ada") == ["ada"]
    assert listed_users(client, q="ADA") == ["ada"]
    assert listed_users(client, q="198.51.") == ["ada"]
    assert listed_users(client, q="203.0.113.1") == ["admin"]
    assert listed_users(client, q="nobody") == []


@on("db")
def test_filters_by_engine_device_and_date(profile: str, client: Client, ada: User) -> None:
    visitor = browser(ada, IPHONE)
    with time_machine.travel(timezone.now() - timedelta(days=3)):
        browser(ada, WINDOWS)
    SignedInSession.objects.filter(pk=row_of(visitor).pk).update(engine="file")
    assert listed_users(client, engine="file") == ["ada"]
    assert listed_users(client, engine="db") == ["admin", "ada"]
    assert listed_users(client, system="iOS") == ["ada"]
    assert listed_users(client, system="Windows") == ["ada"]
    assert listed_users(client, system="BeOS") == []
    yesterday = str(timezone.now() - timedelta(days=1))
    assert listed_users(client, signed_in_at__gte=yesterday) == ["ada", "admin"]
    page = get_page(client, SIGNED_IN)
    for choice in ("?engine=db", "?engine=file", "?system=Linux", "?system=iOS", "?system=Windows"):
        assert f'href="{choice}"' in page


@on("db")
def test_sessions_ended_by_new_password_are_not_listed(
    profile: str, client: Client, ada: User
) -> None:
    browser(ada)
    ada.set_password("another")
    ada.save()
    assert listed_users(client) == ["admin"]


@on("db")
def test_list_does_not_offer_to_select_all_pages(
    profile: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cookieproj.devices.admin.SignedInSessionAdmin.list_per_page", 2)
    for _ in range(3):
        Client().force_login(User.objects.get())
    assert 'class="question"' not in get_page(client, SIGNED_IN)


@on("db")
@pytest.mark.parametrize("name", ["engine", "system"])
def test_filter_value_with_nul_redirects_to_list(name: str, profile: str, client: Client) -> None:
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
def test_values_that_postgresql_refuses_redirect_to_list(
    path: str, name: str, value: str, stores: dict[str, str], django_db_blocker: DjangoDbBlocker
) -> None:
    """PostgreSQL refuses a NUL and an invalid address only when the query runs."""
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
def test_empty_to_field_is_ignored(page: str, client: Client, admin: User) -> None:
    path = f"/admin/{page.format(admin.pk)}/"
    assert client.get(f"{path}?_to_field=").status_code == client.get(path).status_code


@on("db")
def test_list_counts_rows_up_to_its_limit(
    profile: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CaptureQueriesContext(connection) as captured:
        get_page(client, SIGNED_IN)
    counts = [query["sql"] for query in captured if "COUNT(" in query["sql"]]
    assert counts
    assert all("LIMIT 10000" in sql for sql in counts)
    monkeypatch.setattr("cookieproj.devices.admin_filters.MAX_ROWS_LISTED", 2)
    for _ in range(3):
        Client().force_login(User.objects.get())
    assert CappedPaginator(SignedInSession.objects.order_by("pk"), 1).count == 2


def test_action_signs_out_selected_sessions(
    profile: str, client: Client, ada: User, admin: User
) -> None:
    visitors = [browser(ada), browser(ada, IPHONE)]
    unselected = browser(ada)
    selected = [str(row_of(visitor).pk) for visitor in visitors]
    form = {"action": "delete_selected", "_selected_action": selected}
    assert "Sign out selected" in get_page(client, SIGNED_IN)
    confirmation = client.post(SIGNED_IN, form).content.decode()
    assert "ada, Mobile Safari on iOS" in confirmation
    client.post(SIGNED_IN, {**form, "post": "yes"})
    assert [is_in(visitor) for visitor in (*visitors, unselected)] == [False, False, True]
    entries = LogEntry.objects.all()
    assert {(entry.user, entry.object_id) for entry in entries} == {(admin, pk) for pk in selected}


@on("db", "cache", "file")
def test_refused_sign_out_is_not_logged(profile: str, client: Client, ada: User) -> None:
    visitor = browser(ada)
    row = str(row_of(visitor).pk)
    unavailable = StoreUnavailableError("store", "no answer")
    form = {"action": "delete_selected", "_selected_action": [row], "post": "yes"}
    with mock.patch(
        "cookieproj.devices.stored_sessions.delete_stored_session", side_effect=unavailable
    ):
        assert client.post(SIGNED_IN, form).status_code == 503
        assert client.post(f"{SIGNED_IN}{row}/delete/", {"post": "yes"}).status_code == 503
    assert is_in(visitor)
    assert SignedInSession.objects.filter(pk=row).exists()
    assert not LogEntry.objects.exists()


def test_delete_page_signs_out_one_session(profile: str, client: Client, ada: User) -> None:
    visitor = browser(ada)
    client.post(f"{SIGNED_IN}{row_of(visitor).pk}/delete/", {"post": "yes"})
    assert not is_in(visitor)
    assert LogEntry.objects.get().object_repr == "ada, Firefox on Linux, 192.0.2.1"


def test_action_signs_out_users_of_selected_sessions_everywhere(
    profile: str, client: Client, ada: User
) -> None:
    visitors = [browser(ada), browser(ada)]
    form = {"action": "sign_out_users", "_selected_action": [str(row_of(visitors[0]).pk)]}
    page = client.post(SIGNED_IN, form, follow=True).content.decode()
    assert "1 user is signed out everywhere: ada." in page
    assert [is_in(visitor) for visitor in visitors] == [False, False]
    assert is_in(client)


def test_action_signs_out_selected_users_everywhere(
    profile: str, client: Client, ada: User, admin: User
) -> None:
    visitors = [browser(ada), browser(admin)]
    form = {"action": "sign_out", "_selected_action": [ada.pk, admin.pk]}
    page = client.post(USERS, form, follow=True).content.decode()
    assert "2 users are signed out everywhere: ada, admin." in page
    assert "Your current session stays signed in." in page
    assert [is_in(visitor) for visitor in visitors] == [False, False]
    assert is_in(client)
    entries = LogEntry.objects.all()
    assert {(entry.object_repr, entry.change_message) for entry in entries} == {
        ("ada", "Signed out everywhere."),
        ("admin", "Signed out everywhere."),
    }


def test_list_of_signed_cookies_offers_only_sign_out_everywhere(
    admin: User, ada: User, settings: Settings
) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    client, visitor = browser(admin), browser(ada)
    page = get_page(client, SIGNED_IN)
    assert "the server cannot end a single one" in page
    assert "Sign out selected" not in page
    assert "Sign out everywhere the users" in page
    delete = f"{SIGNED_IN}{row_of(visitor).pk}/delete/"
    assert client.post(delete, {"post": "yes"}).status_code == 403
    assert delete not in get_page(client, delete.replace("delete", "change"))
    assert is_in(visitor)
    assert SignedInSession.objects.filter(user=ada).exists()
    form = {"action": "sign_out_users", "_selected_action": [str(row_of(visitor).pk)]}
    client.post(SIGNED_IN, form)
    assert not is_in(visitor)
    client.post(f"{USERS}{ada.pk}/delete/", {"post": "yes"})
    assert not User.objects.filter(pk=ada.pk).exists()


def test_staff_without_permission_see_and_end_nothing(profile: str, ada: User, admin: User) -> None:
    client, visitor = staff(ada), browser(admin)
    for path in (STORED, SIGNED_IN, f"{SIGNED_IN}{row_of(visitor).pk}/change/"):
        assert client.get(path).status_code == 403
    delete = f"{SIGNED_IN}{row_of(visitor).pk}/delete/"
    assert client.post(delete, {"post": "yes"}).status_code == 403
    page = get_page(client, "/admin/")
    assert STORED not in page
    assert SIGNED_IN not in page
    assert is_in(visitor)


@LISTABLE
def test_viewing_and_deleting_stored_sessions_are_separate_permissions(
    profile: str, ada: User, admin: User, store: type[SessionBase]
) -> None:
    key = save_session(store, color="blue")
    delete = stored_session_url(key).replace("change", "delete")
    viewer = staff(ada, "view_storedsession")
    assert "blue" in get_page(viewer, stored_session_url(key))
    assert viewer.post(delete, {"post": "yes"}).status_code == 403
    assert viewer.get(SIGNED_IN).status_code == 403
    assert store().exists(key)
    deleter = staff(User.objects.create_user("grace", password="cookies"), "delete_storedsession")
    assert deleter.get(stored_session_url(key)).status_code == 403
    assert deleter.get(STORED).status_code == 403
    deleter.post(delete, {"post": "yes"})
    assert not store().exists(key)


def test_view_permission_does_not_allow_signing_out(profile: str, ada: User, admin: User) -> None:
    visitor = browser(admin)
    viewer = staff(ada, "view_signedinsession", "view_user")
    assert listed_users(viewer) == ["ada", "admin"]
    row = row_of(visitor)
    assert viewer.post(f"{SIGNED_IN}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    for path, action in ((SIGNED_IN, "sign_out_users"), (USERS, "sign_out")):
        chosen = row.pk if path == SIGNED_IN else admin.pk
        viewer.post(path, {"action": action, "_selected_action": [str(chosen)]})
    assert is_in(visitor)
    assert "Sign out" not in get_page(viewer, SIGNED_IN).split("changelist-form")[1]


def test_deletion_of_user_hides_sessions_without_view_permission(
    profile: str, ada: User, admin: User
) -> None:
    browser(admin, IPHONE, "203.0.113.7")
    client = staff(ada, "delete_user", "view_user")
    confirmation = get_page(client, f"{USERS}{admin.pk}/delete/")
    assert "203.0.113.7" not in confirmation
    assert "Mobile Safari" not in confirmation
    assert 'type="submit"' in confirmation
    ada.user_permissions.add(Permission.objects.get(codename="view_signedinsession"))
    assert "203.0.113.7" in get_page(client, f"{USERS}{admin.pk}/delete/")
    client.post(f"{USERS}{admin.pk}/delete/", {"post": "yes"})
    assert not User.objects.filter(pk=admin.pk).exists()


def test_sessions_cannot_be_added_or_changed(profile: str, client: Client) -> None:
    for path in (STORED, SIGNED_IN):
        assert client.get(f"{path}add/").status_code == 403
    change = f"{SIGNED_IN}{row_of(client).pk}/change/"
    assert client.post(change, {"address": "1.1.1.1"}).status_code == 403


def figures(page: str) -> dict[str, str]:
    return dict(re.findall(r"<dt>([^<]+)</dt><dd[^>]*>([^<]+)</dd>", page))


def test_overview_counts_sessions(
    profile: str, client: Client, ada: User, store: type[SessionBase]
) -> None:
    browser(ada, FIREFOX)
    browser(ada, IPHONE)
    expired = store()
    expired.set_expiry(-60)
    expired.save()
    counted = figures(get_page(client, STORE)) | figures(get_page(client, DEVICES))
    assert counted["Signed in"] == "3"
    if profile in IN_COOKIES:
        assert "kept by its browser alone" in counted["Stored"]
    else:
        # Redis deletes expired entries by itself.
        assert counted["Stored"] == ("3" if profile == "cache" else "4")
        assert counted["Expired, to be cleared"] == ("0" if profile == "cache" else "1")


@on("cache")
def test_overview_marks_estimated_count(
    profile: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = cache_connections["sessions"].make_key(SessionStore.cache_key_prefix)
    redis = adapter_for(cache_connections["sessions"]).client  # type: ignore[attr-defined]
    redis.mset({f"{name}{number}": "{}" for number in range(4999)})
    assert figures(get_page(client, STORE))["Stored"] == "5,000"
    monkeypatch.setattr("cookieproj.engines.caches.redis_listing.COUNT_SAMPLE_SIZE", 2000)
    assert figures(get_page(client, STORE))["Stored"] == "about 5,000"


@on("cache")
def test_hashing_key_function_is_shown_as_reason(
    profile: str, client: Client, settings: Settings
) -> None:
    hashed = {"KEY_FUNCTION": "tests.engines.test_redis_count.hashed"}
    settings.CACHES = settings.CACHES | {"sessions": settings.CACHES["sessions"] | hashed}
    client = browser(User.objects.get(username="admin"))
    for path in (STORE, STORED):
        assert "KEY_FUNCTION" in get_page(client, path)


@on("db")
def test_chart_shows_sign_ins_by_day(profile: str, client: Client, ada: User) -> None:
    now = timezone.now()
    for days, number in ((3, 2), (13, 1), (14, 5)):
        with time_machine.travel(now - timedelta(days=days)):
            for _ in range(number):
                browser(ada)
    SignedInSession.objects.update(expires=now + timedelta(days=1))
    page = get_page(client, DEVICES)
    titles = re.findall(r"<title>([^<:]+): (\d+)</title>", page)
    drawn = [now - timedelta(days=before) for before in (13, 3, 0)]
    shown = [f"{day.day} {day:%b}" for day in drawn]
    assert titles == list(zip(shown, ["1", "2", "1"], strict=True))
    bars = re.findall(r'<rect x="(\d+)" y="([\d.]+)" width="20" height="([\d.]+)"', page)
    assert [tuple(map(float, bar)) for bar in bars] == [(2, 50, 54), (242, 0, 104), (314, 50, 54)]


def test_overviews_require_view_permissions(profile: str, ada: User) -> None:
    client = staff(ada, "view_signedinsession")
    assert figures(get_page(client, DEVICES)) == {"Signed in": "1"}
    assert client.get(STORE).status_code == 404
    ada.user_permissions.set(Permission.objects.filter(codename="view_storedsession"))
    assert client.get(DEVICES).status_code == 404
    assert "Stored" in figures(get_page(client, STORE))


@on("db")
def test_overview_of_unreachable_store_shows_error(profile: str, client: Client) -> None:
    unavailable = StoreUnavailableError("store", "no answer")
    with mock.patch("cookieproj.engines.db.SessionStore.count", side_effect=unavailable):
        assert "The session store is unavailable" in figures(get_page(client, STORE))["Stored"]


def test_user_list_opens(profile: str, client: Client) -> None:
    assert client.get(USERS).status_code == 200


def test_no_page_shows_own_session_cookie(profile: str, client: Client) -> None:
    name = django_settings.SESSION_COOKIE_NAME
    for path in (STORE, DEVICES, SIGNED_IN, STORED, "/devices/"):
        assert client.cookies[name].value not in get_page(client, path)
    assert ROW_ITEM in client.session
