"""The registry of signed-in sessions matches the stored sessions, on every profile."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.conf import settings as django_settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.core.management import call_command
from django.db import OperationalError, ProgrammingError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from cookieproj.devices import (
    auth_hashes,
    clear_registry,
    row_identity,
    session_registry,
    stored_sessions,
    tracking,
    write_throttle,
)
from cookieproj.devices.client_info import address_of, device_of
from cookieproj.devices.constants import ROW_ITEM
from cookieproj.devices.middleware import DevicesMiddleware
from cookieproj.devices.models import RefusedSession, SignedInSession
from cookieproj.engines import running_engine
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.file import SessionStore as FileStore
from cookieproj.engines.middleware import SessionMiddleware
from demo.models import User
from tests.browsers import FIREFOX, IPHONE, browser, is_in, key_of, row_of
from tests.conftest import connected, forget_folder, on, read_only
from tests.families import COOKIE_ENGINES, IN_COOKIES, SERVER_ENGINES

AGE = timedelta(days=14)
ON_SERVER = on(*SERVER_ENGINES)

TABLE = SignedInSession._meta.db_table


def count_registry_writes(client: Client, path: str = "/auth/account/") -> int:
    with CaptureQueriesContext(connection) as captured:
        client.get(path)
    return sum(
        TABLE in query["sql"] and not query["sql"].startswith("SELECT") for query in captured
    )


def clear_write_throttle() -> None:
    """Act as another process, which has written nothing yet."""
    write_throttle.recent_writes.clear()


def test_sign_in_registers_the_session(profile: str, ada: User) -> None:
    before = timezone.now()
    client = browser(ada, IPHONE, "2001:db8::7")
    row = SignedInSession.objects.get()
    assert (row.user, row.engine) == (ada, profile)
    assert (row.browser, row.system) == ("Mobile Safari", "iOS")
    assert row.address == "2001:db8::7"
    assert row.session_key == ("" if profile in IN_COOKIES else key_of(client))
    assert before <= row.signed_in_at <= timezone.now()
    assert abs(row.expires - row.signed_in_at - AGE) < timedelta(seconds=5)


def test_sign_in_costs_one_statement(profile: str, ada: User) -> None:
    client = browser()
    with CaptureQueriesContext(connection) as captured:
        client.post("/auth/sign-in/", {"username": "ada", "password": "cookies"})
    statements = [query["sql"] for query in captured if TABLE in query["sql"]]
    assert len(statements) == 1
    assert statements[0].startswith("INSERT")


def test_sign_out_costs_one_statement(profile: str, ada: User) -> None:
    client = browser(ada)
    other = browser(ada)
    with CaptureQueriesContext(connection) as captured:
        client.post("/auth/sign-out/")
    statements = [query["sql"] for query in captured if TABLE in query["sql"]]
    # The row of a cookie session says for how long copies of the cookie have to be refused.
    expiry_query = ["SELECT"] if profile in IN_COOKIES else []
    assert [sql.split()[0] for sql in statements] == [*expiry_query, "DELETE"]
    assert SignedInSession.objects.get() == row_of(other)
    assert not is_in(client)


@pytest.mark.parametrize("method", ["clear", "delete", "flush"])
def test_emptied_session_is_signed_out(method: str, profile: str, ada: User) -> None:
    client = browser(ada)
    copied = key_of(client)
    client.post(f"/lifecycle/{method}/")
    client.get("/devices/")
    client.cookies[django_settings.SESSION_COOKIE_NAME] = copied
    assert not is_in(client)
    # This finds sessions that are missing from the store.
    call_command("clearsessions", verbosity=0)
    assert not SignedInSession.objects.exists()


@on(*COOKIE_ENGINES)
@pytest.mark.parametrize("has_lost_row", [False, True])
def test_copied_cookie_is_refused_after_sign_out(
    has_lost_row: bool, profile: str, ada: User
) -> None:
    client = browser(ada)
    copied = key_of(client)
    if has_lost_row:
        SignedInSession.objects.all().forget()
    client.post("/auth/sign-out/")
    client.cookies[django_settings.SESSION_COOKIE_NAME] = copied
    assert not is_in(client)


def test_signing_in_again_keeps_the_row(profile: str, ada: User) -> None:
    client = browser(ada)
    first = row_of(client)
    copied = key_of(client)
    client.post("/auth/sign-in/", {"username": "ada", "password": "cookies"})
    row = SignedInSession.objects.get()
    assert row == first
    assert row.signed_in_at > first.signed_in_at
    assert is_in(client)
    client.post("/auth/sign-out/")
    client.cookies[django_settings.SESSION_COOKIE_NAME] = copied
    assert not is_in(client)


def test_sign_in_of_another_user_replaces_the_session(profile: str, ada: User, admin: User) -> None:
    client = browser(ada)
    copied = key_of(client)
    client.post("/auth/sign-in/", {"username": "admin", "password": "cookies"})
    row = SignedInSession.objects.get()
    assert row == row_of(client)
    assert row.user == admin
    assert row.session_key == ("" if profile in IN_COOKIES else key_of(client))
    client.cookies[django_settings.SESSION_COOKIE_NAME] = copied
    assert not is_in(client)


def test_cycle_key_updates_the_row(profile: str, ada: User) -> None:
    client = browser(ada)
    before = row_of(client)
    old = key_of(client)
    client.post("/lifecycle/cycle-key/")
    client.get("/auth/account/")
    after = SignedInSession.objects.get()
    assert after.pk == before.pk
    assert after.signed_in_at == before.signed_in_at
    if profile not in IN_COOKIES:
        assert after.session_key == key_of(client) != old
        after.delete()
        assert not is_in(client)


def test_password_change_ends_other_sessions_and_keeps_own(profile: str, admin: User) -> None:
    client, other = browser(admin), browser(admin)
    kept = row_of(client)
    response = client.post(
        "/admin/password_change/",
        {"old_password": "cookies", "new_password1": "a3-Long_one", "new_password2": "a3-Long_one"},
    )
    assert response.status_code == 302
    assert list(SignedInSession.objects.live()) == [kept]
    assert is_in(client)
    assert not is_in(other)
    assert list(SignedInSession.objects.live()) == [kept]


@pytest.mark.parametrize("fields", [None, ["password"]])
def test_password_set_outside_a_session_ends_all_sessions(
    fields: list[str] | None, profile: str, ada: User
) -> None:
    client = browser(ada)
    ada.set_password("another")
    ada.save(update_fields=fields)
    assert not SignedInSession.objects.live().exists()
    assert not is_in(client)


def test_session_of_old_password_does_not_restore_its_row(profile: str, ada: User) -> None:
    """On a page that reads the session but not the user."""
    client = browser(ada)
    ada.set_password("another")
    ada.save()
    clear_write_throttle()
    client.post("/sessions/set-item/")
    assert not SignedInSession.objects.live().exists()


def test_other_changes_of_user_end_no_session(profile: str, ada: User) -> None:
    client = browser(ada)
    ada.first_name = "Ada"
    ada.save()
    assert SignedInSession.objects.live().count() == 1
    assert is_in(client)


def test_rotated_secret_key_ends_no_session(profile: str, ada: User, settings: Settings) -> None:
    client = browser(ada)
    write_throttle.recent_writes.clear()
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    fresh = User.objects.get()
    fresh.save()
    assert SignedInSession.objects.live().count() == 1
    assert is_in(client)
    assert SignedInSession.objects.get().auth_hash == auth_hashes.hashes_of(fresh)[0]


def test_session_of_deactivated_user_is_not_live(profile: str, ada: User) -> None:
    browser(ada)
    ada.is_active = False
    ada.save()
    assert not SignedInSession.objects.live().exists()


def test_last_seen_is_written_every_five_minutes(profile: str, ada: User) -> None:
    client = browser(ada)
    first = row_of(client).last_seen
    assert [count_registry_writes(client) for _ in range(3)] == [0, 0, 0]
    with time_machine.travel(timezone.now() + timedelta(seconds=301)):
        assert [count_registry_writes(client) for _ in range(3)] == [1, 0, 0]
        assert row_of(client).last_seen > first + timedelta(seconds=300)


def test_second_process_does_not_write_last_seen_again(profile: str, ada: User) -> None:
    client = browser(ada)
    with time_machine.travel(timezone.now() + timedelta(seconds=301)):
        client.get("/auth/account/")
        seen = row_of(client).last_seen
        clear_write_throttle()
        client.get("/auth/account/")
        assert row_of(client).last_seen == seen


def test_request_that_reads_no_session_makes_no_query(profile: str, ada: User) -> None:
    request = RequestFactory().get("/")
    request.COOKIES[django_settings.SESSION_COOKIE_NAME] = key_of(browser(ada))
    serve: Any = SessionMiddleware(DevicesMiddleware(lambda request: HttpResponse()))
    with time_machine.travel(timezone.now() + timedelta(seconds=301)):
        with CaptureQueriesContext(connection) as captured:
            response = serve(request)
        assert not captured
        assert "Cookie" not in response.headers.get("Vary", "")


def test_save_moves_expiry_of_row_and_read_does_not(profile: str, ada: User) -> None:
    client = browser(ada)
    first = row_of(client).expires
    with time_machine.travel(timezone.now() + timedelta(days=3)):
        client.get("/auth/account/")
        assert row_of(client).expires == first
        client.post("/sessions/set-item/")
        client.get("/auth/account/")
        assert abs(row_of(client).expires - first - timedelta(days=3)) < timedelta(seconds=5)


def test_set_expiry_is_written_to_row_at_once(profile: str, ada: User) -> None:
    client = browser(ada)
    client.post("/expiry/in-seconds/", {"seconds": "60"})
    assert row_of(client).expires - timezone.now() <= timedelta(seconds=60)
    # Not written again.
    assert [count_registry_writes(client) for _ in range(3)] == [0, 0, 0]


def test_repeated_changes_of_expiry_are_written_each_time(profile: str, ada: User) -> None:
    client = browser(ada)
    for _ in range(2):
        client.post("/expiry/in-seconds/", {"seconds": "60"})
        assert row_of(client).expires <= timezone.now() + timedelta(seconds=60)
        # The next request is served by another process.
        clear_write_throttle()
        client.post("/expiry/by-settings/")
        assert row_of(client).expires > timezone.now() + timedelta(days=13)


def test_expiry_of_short_session_is_written_before_it_ends(
    profile: str, ada: User, settings: Settings
) -> None:
    settings.SESSION_COOKIE_AGE = 60
    settings.SESSION_SAVE_EVERY_REQUEST = True
    client = browser(ada)
    first = row_of(client).expires
    with time_machine.travel(timezone.now() + timedelta(seconds=31)):
        is_in(client)
        assert row_of(client).expires > first + timedelta(seconds=30)


@contextmanager
def during_request_of(path: str) -> Iterator[list[Callable[[], object]]]:
    """Call the functions in the list during the next request of that path."""
    track = tracking.track
    functions: list[Callable[[], object]] = []

    def call_and_track(request: HttpRequest) -> None:
        while request.path == path and functions:
            functions.pop()()
        track(request)

    with mock.patch.object(tracking, "track", call_and_track):
        yield functions


def unregistered_browser(user: User) -> Client:
    """A browser that was signed in before the registry existed."""
    client = browser(user)
    session = client.session
    del session[ROW_ITEM]
    session.save()
    client.cookies[django_settings.SESSION_COOKIE_NAME] = session.session_key or ""
    SignedInSession.objects.all().forget()
    return client


def second_tab_of(client: Client) -> Client:
    """Another tab of the same browser, with the cookie as it is now."""
    tab = browser()
    tab.cookies[django_settings.SESSION_COOKIE_NAME] = key_of(client)
    return tab


@pytest.mark.parametrize("change", ["/lifecycle/cycle-key/", "/devices/sign-out-others/"])
def test_late_request_does_not_restore_old_key(change: str, profile: str, ada: User) -> None:
    client = browser(ada)
    with time_machine.travel(timezone.now() + timedelta(seconds=301)):
        tab = second_tab_of(client)
        with during_request_of("/auth/account/") as functions:
            functions.append(lambda: client.post(change))
            assert is_in(tab)
        row = SignedInSession.objects.get()
        assert row.session_key == ("" if profile in IN_COOKIES else key_of(client))
        assert row.auth_hash == auth_hashes.hashes_of(User.objects.get())[0]
        row.delete()
        assert not is_in(client)


def test_late_request_does_not_overwrite_newer_row(profile: str, ada: User) -> None:
    client = browser(ada)
    row = SignedInSession.objects.filter(pk=row_of(client).pk)
    row.update(auth_hash="other")
    clear_write_throttle()

    def update_meanwhile(*arguments: object) -> bool:
        row.update(auth_hash="newer")
        return True

    with mock.patch.object(tracking, "is_still_signed_in", update_meanwhile):
        is_in(client)
    assert row.get().auth_hash == "newer"


def test_late_request_of_ended_session_does_not_restore_row(profile: str, ada: User) -> None:
    client, other = browser(ada), browser(ada)
    with time_machine.travel(timezone.now() + timedelta(seconds=301)):
        with during_request_of("/auth/account/") as functions:
            functions.append(lambda: other.post("/devices/sign-out-others/"))
            client.get("/auth/account/")
        assert SignedInSession.objects.get() == row_of(other)


def test_late_request_of_deleted_user_does_not_restore_row(profile: str, ada: User) -> None:
    client = browser(ada)
    late = timezone.now() + timedelta(seconds=301)
    with time_machine.travel(late), during_request_of("/auth/account/") as functions:
        functions.append(ada.delete)
        client.get("/auth/account/")
    assert not SignedInSession.objects.exists()


def test_two_requests_register_session_once(profile: str, ada: User) -> None:
    client = unregistered_browser(ada)
    tab = second_tab_of(client)
    with during_request_of("/auth/account/") as functions:
        functions.append(lambda: client.get("/auth/account/"))
        assert is_in(tab)
    assert SignedInSession.objects.get() == row_of(client) == row_of(tab)


def test_two_requests_restore_lost_row_once(profile: str, ada: User) -> None:
    client = browser(ada)
    row = row_of(client)
    SignedInSession.objects.all().forget()
    clear_write_throttle()
    insert = session_registry.insert

    def insert_twice(lost: SignedInSession) -> None:
        insert(lost)
        insert(lost)

    with mock.patch.object(session_registry, "insert", insert_twice):
        assert is_in(client)
    assert SignedInSession.objects.get() == row


def test_id_from_any_session_key_can_be_stored(ada: User) -> None:
    """MariaDB would store zeros instead of one in four."""
    for number in range(40):
        row_id = row_identity.id_from_key(f"{number:032}")
        assert row_identity.registered_id({ROW_ITEM: [row_id, None]}) == row_id
        row = SignedInSession(id=row_id, user=ada, engine="db", expires=timezone.now())
        session_registry.insert(row)
        assert str(SignedInSession.objects.get(pk=row_id).pk) == row_id
        row.delete()


def test_id_that_the_database_cannot_store_is_ignored(ada: User) -> None:
    row_id = "00000000-0000-8000-0000-000000000000"
    session = {ROW_ITEM: [row_id, None]}
    expected = None if connection.vendor == "mysql" else row_id
    assert row_identity.registered_id(session) == expected


def test_session_from_before_the_registry_is_registered(profile: str, ada: User) -> None:
    client = unregistered_browser(ada)
    client.get("/auth/account/")
    row = SignedInSession.objects.get()
    assert row == row_of(client)
    assert (row.user, row.browser) == (ada, "Firefox")
    client.get("/auth/account/")
    assert SignedInSession.objects.get() == row


def test_session_of_old_password_is_not_registered(profile: str, ada: User) -> None:
    client = unregistered_browser(ada)
    User.objects.update(password="!")
    client.get("/auth/account/")
    assert not SignedInSession.objects.exists()


def test_lost_row_is_restored_with_its_id(profile: str, ada: User) -> None:
    client = browser(ada)
    row = row_of(client)
    SignedInSession.objects.all().forget()
    clear_write_throttle()
    client.get("/auth/account/")
    assert SignedInSession.objects.get() == row


def test_row_of_ended_session_is_not_restored(profile: str, ada: User, rf: RequestFactory) -> None:
    client = browser(ada)
    request: Any = rf.get("/")
    request.session, request.user = client.session, ada
    # The request has read its session when the session is ended.
    _ = request.session[ROW_ITEM]
    row_of(client).delete()
    clear_write_throttle()
    tracking.track(request)
    assert not SignedInSession.objects.exists()


def test_failing_view_is_not_tracked(profile: str, ada: User, rf: RequestFactory) -> None:
    client = browser(ada)
    SignedInSession.objects.all().forget()
    clear_write_throttle()
    client.raise_request_exception = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cookieproj.devices.views.devices_of", None)
        patch.setattr(tracking, "track", track := CallCounter())
        assert client.get("/devices/").status_code == 500
    # The call by the view, not by the middleware.
    assert track.calls == 1


class CallCounter:
    calls = 0

    def __call__(self, *args: object) -> None:
        self.calls += 1


def test_registry_is_updated_once_store_is_reachable_again(profile: str, ada: User) -> None:
    client = browser(ada)
    clear_write_throttle()
    error = StoreUnavailableError("store", "unreachable")
    SignedInSession.objects.update(auth_hash="another")
    with mock.patch.object(stored_sessions, "rows_with_session", side_effect=error):
        assert is_in(client)
    assert SignedInSession.objects.get().auth_hash == "another"
    clear_write_throttle()
    assert is_in(client)
    assert SignedInSession.objects.get().auth_hash == auth_hashes.hashes_of(ada)[0]


def test_signals_without_session_register_nothing(ada: User, rf: RequestFactory) -> None:
    for request in (None, rf.get("/")):
        user_logged_in.send(User, request=request, user=ada)
        user_logged_out.send(User, request=request, user=ada)
    assert not SignedInSession.objects.exists()


def test_anonymous_session_is_not_registered(profile: str, rf: RequestFactory) -> None:
    client = browser()
    client.post("/sessions/set-item/")
    assert count_registry_writes(client, "/sessions/items/") == 0
    request: Any = rf.get("/")
    request.session, request.user = client.session, AnonymousUser()
    tracking.track(request)
    assert not SignedInSession.objects.exists()


@ON_SERVER
def test_deleting_row_deletes_stored_session(
    profile: str, store: type[SessionBase], ada: User
) -> None:
    client = browser(ada)
    client.post("/sessions/set-item/")
    key = key_of(client)
    assert store().exists(key)
    SignedInSession.objects.filter(user=ada).delete()
    assert not store().exists(key)
    assert client.get("/sessions/get/").content.decode() == "color is none\n"
    assert not is_in(client)


@on("cached_db")
@pytest.mark.django_db(transaction=True)
def test_deleting_row_on_cached_db_deletes_from_cache_and_table(profile: str, ada: User) -> None:
    client = browser(ada)
    is_in(client)
    cached = f"django.contrib.sessions.cached_db{key_of(client)}"
    assert caches["sessions"].get(cached)
    row_of(client).delete()
    assert not Session.objects.exists()
    redis = caches["sessions"].client.get_client()  # type: ignore[attr-defined]
    # A marker remains, which is not a session.
    assert redis.get(caches["sessions"].make_key(cached)).startswith(b"~")


@on("db", "cached_db")
def test_deleting_stored_session_by_orm_signs_out(profile: str, ada: User) -> None:
    client = browser(ada)
    is_in(client)
    Session.objects.all().delete()
    assert not is_in(client)


@on(*COOKIE_ENGINES)
def test_ended_cookie_session_is_refused_until_its_expiry(profile: str, ada: User) -> None:
    client, other = browser(ada), browser(ada)
    row = row_of(client)
    row_of(client).delete()
    assert not is_in(client)
    assert is_in(other)
    refused = RefusedSession.objects.get()
    assert refused.until >= row.expires
    call_command("clearsessions", verbosity=0)
    assert RefusedSession.objects.exists()
    with time_machine.travel(refused.until + timedelta(seconds=1)):
        call_command("clearsessions")
    assert not RefusedSession.objects.exists()


@on(*COOKIE_ENGINES)
def test_refusal_lasts_as_long_as_a_new_cookie(profile: str, ada: User) -> None:
    client = browser(ada)
    row = row_of(client)
    SignedInSession.objects.filter(pk=row.pk).update(expires=timezone.now())
    row_of(client).delete()
    assert RefusedSession.objects.get().until >= timezone.now() + AGE


@on(*COOKIE_ENGINES)
def test_cookie_session_is_503_while_refusals_are_unreachable(profile: str, ada: User) -> None:
    client = browser(ada)
    error = OperationalError("gone")
    with mock.patch("cookieproj.devices.refused_sessions.is_refused", side_effect=error):
        assert client.get("/auth/account/").status_code == 503
    assert is_in(client)


def test_refusals_are_queried_only_for_cookie_sessions(profile: str, ada: User) -> None:
    client = browser(ada)
    with CaptureQueriesContext(connection) as captured:
        client.get("/auth/account/")
    queries = sum("cookieproj_devices_refusedsession" in query["sql"] for query in captured)
    assert queries == (1 if profile in IN_COOKIES else 0)


@on(*COOKIE_ENGINES)
def test_anonymous_cookie_session_costs_no_query(profile: str) -> None:
    client = browser()
    client.post("/sessions/set-item/")
    with CaptureQueriesContext(connection) as captured:
        client.get("/sessions/items/")
    assert not captured


def test_deleting_user_ends_sessions(profile: str, store: type[SessionBase], ada: User) -> None:
    client = browser(ada)
    key = key_of(client)
    ada.delete()
    assert not SignedInSession.objects.exists()
    if profile not in IN_COOKIES:
        assert not store().exists(key)
    assert not is_in(client)


def test_clearsessions_keeps_row_that_expired_a_moment_ago(profile: str, ada: User) -> None:
    client = browser(ada)
    row = SignedInSession.objects.filter(pk=row_of(client).pk)
    for seconds, expected in (
        (2 * write_throttle.LAST_SEEN_INTERVAL - 50, 1),
        (2 * write_throttle.LAST_SEEN_INTERVAL + 50, 0),
    ):
        row.update(expires=timezone.now() - timedelta(seconds=seconds))
        call_command("clearsessions", verbosity=0)
        assert SignedInSession.objects.count() == expected


def test_clearsessions_deletes_expired_rows(
    profile: str, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clear_registry, "BATCH_SIZE", 1)
    browser(ada)
    browser(ada)
    with time_machine.travel(timezone.now() + timedelta(days=10)):
        browser(ada)
    with time_machine.travel(timezone.now() + timedelta(days=15)):
        assert SignedInSession.objects.live().count() == 1
        call_command("clearsessions", verbosity=0)
        # Redis and files have their own clocks, so only the expiry of the row has passed.
        assert SignedInSession.objects.filter(expires__gt=timezone.now()).count() == 1
        assert SignedInSession.objects.count() == 1


@ON_SERVER
def test_clearsessions_deletes_rows_of_missing_sessions(
    profile: str, store: type[SessionBase], ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clear_registry, "BATCH_SIZE", 2)
    clients = [browser(ada) for _ in range(5)]
    for client in clients[:2]:
        store().delete(key_of(client))
    out = StringIO()
    call_command("clearsessions", stdout=out)
    assert "Removed 2 sign-in records whose sessions no longer exist." in out.getvalue()
    keys = {row.session_key for row in SignedInSession.objects.all()}
    assert keys == {key_of(client) for client in clients[2:]}


@ON_SERVER
def test_clearsessions_keeps_row_that_gets_another_key_meanwhile(
    profile: str, store: type[SessionBase], ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = browser(ada)
    store().delete(key_of(client))
    rows_with_session = stored_sessions.rows_with_session

    def change_key_afterwards(rows: list[SignedInSession]) -> list[SignedInSession]:
        with_session = rows_with_session(rows)
        SignedInSession.objects.update(sealed_key="another")
        return with_session

    monkeypatch.setattr(stored_sessions, "rows_with_session", change_key_afterwards)
    call_command("clearsessions", verbosity=0)
    assert SignedInSession.objects.count() == 1


@on("cache")
def test_clearsessions_keeps_rows_of_local_memory_cache(
    profile: str, settings: Settings, ada: User
) -> None:
    settings.CACHES = {
        **settings.CACHES,
        "sessions": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    }
    browser(ada)
    caches["sessions"].clear()
    call_command("clearsessions", verbosity=0)
    assert SignedInSession.objects.count() == 1


@on("db")
@pytest.mark.parametrize(
    "engine", ["somebodys.engine", "demo.models", "nothing", "django.contrib.nothing"]
)
def test_session_of_missing_engine_cannot_be_ended(engine: str, profile: str, ada: User) -> None:
    """If the engine is installed again, the session is valid again."""
    browser(ada)
    SignedInSession.objects.update(engine=engine)
    with (
        pytest.raises(stored_sessions.NotEndedError, match="cannot be imported"),
        transaction.atomic(),
    ):
        SignedInSession.objects.all().delete()
    assert SignedInSession.objects.exists()
    ada.delete()
    assert not SignedInSession.objects.exists()


@on("db")
def test_deleting_row_deletes_session_from_its_engine(
    profile: str, settings: Settings, ada: User
) -> None:
    settings.SESSION_ENGINE = "cookieproj.engines.file"
    client = browser(ada)
    settings.SESSION_ENGINE = "cookieproj.engines.db"
    SignedInSession.objects.all().delete()
    assert not FileStore().exists(key_of(client))


@on("db")
def test_sign_out_works_if_folder_of_sessions_is_missing(
    profile: str, settings: Settings, ada: User, tmp_path: Path
) -> None:
    client, other = browser(ada), browser(ada)
    settings.SESSION_FILE_PATH = tmp_path / "missing"
    forget_folder()
    SignedInSession.objects.filter(pk=row_of(other).pk).update(engine="file")
    assert client.post("/devices/sign-out-others/").status_code == 302
    assert not is_in(other)
    SignedInSession.objects.update(engine="file")
    ada.delete()
    assert not User.objects.exists()


@on("db")
def test_rows_stay_valid_on_djangos_engine(profile: str, settings: Settings, ada: User) -> None:
    client = browser(ada)
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    assert running_engine.name() == "db"
    assert len(stored_sessions.rows_with_session(SignedInSession.objects.all())) == 1
    row_of(client).delete()
    assert not is_in(client)


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "", "192.0.2.1"),
        (0, "198.51.100.9", "192.0.2.1"),
        (1, "198.51.100.9", "198.51.100.9"),
        (1, "203.0.113.66, 198.51.100.9", "198.51.100.9"),
        (2, "203.0.113.66, 198.51.100.9, 10.0.0.1", "198.51.100.9"),
        (2, "198.51.100.9", "198.51.100.9"),
        (1, "", "192.0.2.1"),
        (1, "198.51.100.9:51234", "198.51.100.9"),
        (1, "[2001:db8::1]:443", "2001:db8::1"),
        (1, "fe80::1%eth0", "fe80::1"),
        (1, "::ffff:198.51.100.9", "198.51.100.9"),
        (1, "unknown", None),
        (1, "'; DROP TABLE", None),
    ],
)
def test_address_is_read_behind_the_configured_proxies(
    proxies: int, forwarded: str, expected: str | None, settings: Settings, rf: RequestFactory
) -> None:
    settings.DEVICES_PROXIES = proxies
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    assert address_of(rf.get("/", headers=headers, REMOTE_ADDR="192.0.2.1")) == expected


def test_unix_socket_has_no_address(rf: RequestFactory) -> None:
    assert address_of(rf.get("/", REMOTE_ADDR="")) is None


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        (FIREFOX, ("Firefox", "Linux")),
        (IPHONE, ("Mobile Safari", "iOS")),
        ("curl/8.5.0", ("curl", "")),
        ("", ("", "")),
        ("x" * 100_000, ("", "")),
    ],
)
def test_device_is_read_from_user_agent(
    agent: str, device: tuple[str, str], rf: RequestFactory
) -> None:
    assert device_of(rf.get("/", headers={"user-agent": agent})) == device


@pytest.mark.parametrize(
    ("browser", "system", "name"),
    [
        ("Firefox", "Linux", "Firefox on Linux"),
        ("curl", "", "curl"),
        ("", "iOS", "iOS"),
        ("", "", "unknown device"),
    ],
)
def test_name_of_device(browser: str, system: str, name: str) -> None:
    assert SignedInSession(browser=browser, system=system).device == name


def test_repr_of_row_contains_no_key(profile: str, ada: User) -> None:
    client = browser(ada)
    row = row_of(client)
    assert key_of(client) not in f"{row} {row!r}"


@pytest.fixture
def make_read_only(
    stores: dict[str, str], profile: str
) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Connects the site to a PostgreSQL. The fixture's value makes that read-only."""
    url = stores["DATABASE_URL"]
    with connected(url):
        User.objects.filter(username="ada").update(password=make_password("cookies"))
        yield lambda: read_only(url)
        connection.close()
        SignedInSession.objects.all().forget()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/auth/account/", "/devices/", "/sessions/get-item/?key=a"])
def test_reading_pages_work_on_read_only_database(
    path: str,
    profile: str,
    make_read_only: Callable[[], AbstractContextManager[None]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = browser(User.objects.get(username="ada"))
    SignedInSession.objects.update(last_seen=timezone.now() - timedelta(hours=1))
    long_ago = row_of(client).last_seen
    client.raise_request_exception = False
    clear_write_throttle()
    caplog.clear()
    with make_read_only():
        assert client.get(path).status_code == 200
        (line,) = caplog.records
        assert "make this server writable again" in line.getMessage()
        assert line.exc_info is None
        assert row_of(client).last_seen == long_ago
    # The connection of the first request may still be read-only.
    for _ in range(2):
        clear_write_throttle()
        assert client.get(path).status_code == 200
    assert row_of(client).last_seen > long_ago


@on("cache")
@pytest.mark.django_db(transaction=True)
def test_devices_page_with_ended_session_works_on_read_only_database(
    profile: str, make_read_only: Callable[[], AbstractContextManager[None]]
) -> None:
    ada = User.objects.get(username="ada")
    client, gone = browser(ada), browser(ada)
    gone.session.delete()
    client.raise_request_exception = False
    with make_read_only():
        assert client.get("/devices/").status_code == 200
    assert SignedInSession.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_failed_write_is_not_retried_by_every_request(
    profile: str,
    make_read_only: Callable[[], AbstractContextManager[None]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = browser(User.objects.get(username="ada"))
    SignedInSession.objects.update(last_seen=timezone.now() - timedelta(hours=1))
    clear_write_throttle()
    caplog.clear()
    with make_read_only():
        for _ in range(3):
            assert client.get("/auth/account/").status_code == 200
        assert len(caplog.records) == 1


@on(*COOKIE_ENGINES)
@pytest.mark.django_db(transaction=True)
def test_missing_table_of_refusals_is_reported(
    profile: str,
    make_read_only: Callable[[], AbstractContextManager[None]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = browser(User.objects.get(username="ada"))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE cookieproj_devices_refusedsession RENAME TO gone")
        try:
            response = client.get("/auth/account/")
        finally:
            cursor.execute("ALTER TABLE gone RENAME TO cookieproj_devices_refusedsession")
    assert response.status_code == 503
    assert "reports an error" in response.text
    assert "Run manage.py migrate." in caplog.text
    assert "LINE 1" not in caplog.text


@on(*COOKIE_ENGINES)
@pytest.mark.django_db(transaction=True)
def test_cookie_session_is_kept_if_refusal_cannot_be_written(
    profile: str,
    make_read_only: Callable[[], AbstractContextManager[None]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = browser(User.objects.get(username="ada"))
    client.raise_request_exception = False
    with make_read_only():
        response = client.post("/lifecycle/flush/")
        assert response.status_code == 503
        assert "reports an error" in response.text
        assert not any(record.exc_info for record in caplog.records)
        assert not response.cookies
        assert is_in(client)


@on("cache")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("statement", "in_transaction"), [("SELECT is_none FRM nowhere", False), ("", True)]
)
def test_other_database_errors_of_registry_are_raised(
    statement: str, in_transaction: bool, profile: str, ada: User, tmp_path: Path
) -> None:
    def write(*_: object) -> None:
        if not statement:
            raise OperationalError("gone")
        with connection.cursor() as cursor:
            cursor.execute(statement)

    client = browser(ada)
    clear_write_throttle()
    with (
        mock.patch.object(tracking, "touch", write),
        transaction.atomic() if in_transaction else nullcontext(),
        # Of a wrong statement: the former on SQLite, the latter on PostgreSQL.
        pytest.raises((OperationalError, ProgrammingError)),
    ):
        client.get("/auth/account/")
