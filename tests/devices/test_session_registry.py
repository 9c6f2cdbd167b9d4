"""The index of signed-in sessions is true, whatever becomes of them, on every profile."""

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
from tests.families import COOKIE_ENGINES, IN_COOKIES

AGE = timedelta(days=14)
ON_SERVER = on("db", "cache", "file", "cached_db")

TABLE = SignedInSession._meta.db_table


def index_writes(client: Client, path: str = "/auth/account/") -> int:
    with CaptureQueriesContext(connection) as captured:
        client.get(path)
    return sum(
        TABLE in query["sql"] and not query["sql"].startswith("SELECT") for query in captured
    )


def forget_what_was_written() -> None:
    """As another process, which has written nothing yet."""
    write_throttle.recent_writes.clear()


def test_signing_in_is_written_down(profile: str, ada: User) -> None:
    before = timezone.now()
    client = browser(ada, IPHONE, "2001:db8::7")
    row = SignedInSession.objects.get()
    assert (row.user, row.engine) == (ada, profile)
    assert (row.browser, row.system) == ("Mobile Safari", "iOS")
    assert row.address == "2001:db8::7"
    assert row.session_key == ("" if profile in IN_COOKIES else key_of(client))
    assert before <= row.signed_in_at <= timezone.now()
    assert abs(row.expires - row.signed_in_at - AGE) < timedelta(seconds=5)


def test_signing_in_costs_one_statement(profile: str, ada: User) -> None:
    client = browser()
    with CaptureQueriesContext(connection) as captured:
        client.post("/auth/sign-in/", {"username": "ada", "password": "cookies"})
    about_it = [query["sql"] for query in captured if TABLE in query["sql"]]
    assert len(about_it) == 1
    assert about_it[0].startswith("INSERT")


def test_signing_out_costs_one_too(profile: str, ada: User) -> None:
    client = browser(ada)
    other = browser(ada)
    with CaptureQueriesContext(connection) as captured:
        client.post("/auth/sign-out/")
    about_it = [query["sql"] for query in captured if TABLE in query["sql"]]
    # Where the browser holds it, for how long a copy of the cookie must be refused is asked first.
    asked = ["SELECT"] if profile in IN_COOKIES else []
    assert [sql.split()[0] for sql in about_it] == [*asked, "DELETE"]
    assert SignedInSession.objects.get() == row_of(other)
    assert not is_in(client)


@pytest.mark.parametrize("method", ["clear", "delete", "flush"])
def test_a_session_that_is_emptied_is_not_signed_in(method: str, profile: str, ada: User) -> None:
    client = browser(ada)
    copied = key_of(client)
    client.post(f"/lifecycle/{method}/")
    client.get("/devices/")
    client.cookies[django_settings.SESSION_COOKIE_NAME] = copied
    assert not is_in(client)
    # What has gone from the store, clearing sees.
    call_command("clearsessions", verbosity=0)
    assert not SignedInSession.objects.exists()


@on(*COOKIE_ENGINES)
@pytest.mark.parametrize("is_lost", [False, True])
def test_a_copied_cookie_opens_nothing_after_signing_out(
    is_lost: bool, profile: str, ada: User
) -> None:
    client = browser(ada)
    copied = key_of(client)
    if is_lost:
        SignedInSession.objects.all().forget()
    client.post("/auth/sign-out/")
    client.cookies[django_settings.SESSION_COOKIE_NAME] = copied
    assert not is_in(client)


def test_signing_in_again_is_the_same_session(profile: str, ada: User) -> None:
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


def test_another_user_in_the_same_browser(profile: str, ada: User, admin: User) -> None:
    client = browser(ada)
    copied = key_of(client)
    client.post("/auth/sign-in/", {"username": "admin", "password": "cookies"})
    row = SignedInSession.objects.get()
    assert row == row_of(client)
    assert row.user == admin
    assert row.session_key == ("" if profile in IN_COOKIES else key_of(client))
    client.cookies[django_settings.SESSION_COOKIE_NAME] = copied
    assert not is_in(client)


def test_it_follows_a_new_key(profile: str, ada: User) -> None:
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


def test_a_new_password_ends_the_others_and_keeps_the_one_that_changed_it(
    profile: str, admin: User
) -> None:
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
def test_a_password_that_somebody_else_sets_ends_all(
    fields: list[str] | None, profile: str, ada: User
) -> None:
    client = browser(ada)
    ada.set_password("another")
    ada.save(update_fields=fields)
    assert not SignedInSession.objects.live().exists()
    assert not is_in(client)


def test_a_session_with_the_old_password_does_not_bring_its_row_back(
    profile: str, ada: User
) -> None:
    """On a page that asks for the session and not for the user."""
    client = browser(ada)
    ada.set_password("another")
    ada.save()
    forget_what_was_written()
    client.post("/sessions/set-item/")
    assert not SignedInSession.objects.live().exists()


def test_other_changes_of_a_user_end_nothing(profile: str, ada: User) -> None:
    client = browser(ada)
    ada.first_name = "Ada"
    ada.save()
    assert SignedInSession.objects.live().count() == 1
    assert is_in(client)


def test_a_rotated_secret_key_ends_nothing(profile: str, ada: User, settings: Settings) -> None:
    client = browser(ada)
    write_throttle.recent_writes.clear()
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    fresh = User.objects.get()
    fresh.save()
    assert SignedInSession.objects.live().count() == 1
    assert is_in(client)
    assert SignedInSession.objects.get().auth_hash == auth_hashes.hashes_of(fresh)[0]


def test_who_is_deactivated_is_not_listed(profile: str, ada: User) -> None:
    browser(ada)
    ada.is_active = False
    ada.save()
    assert not SignedInSession.objects.live().exists()


def test_last_seen_is_written_once_in_five_minutes(profile: str, ada: User) -> None:
    client = browser(ada)
    first = row_of(client).last_seen
    assert [index_writes(client) for _ in range(3)] == [0, 0, 0]
    with time_machine.travel(timezone.now() + timedelta(seconds=301)):
        assert [index_writes(client) for _ in range(3)] == [1, 0, 0]
        assert row_of(client).last_seen > first + timedelta(seconds=300)


def test_of_two_processes_the_second_changes_nothing(profile: str, ada: User) -> None:
    client = browser(ada)
    with time_machine.travel(timezone.now() + timedelta(seconds=301)):
        client.get("/auth/account/")
        seen = row_of(client).last_seen
        forget_what_was_written()
        client.get("/auth/account/")
        assert row_of(client).last_seen == seen


def test_a_page_that_reads_no_session_is_left_alone(profile: str, ada: User) -> None:
    request = RequestFactory().get("/")
    request.COOKIES[django_settings.SESSION_COOKIE_NAME] = key_of(browser(ada))
    serve: Any = SessionMiddleware(DevicesMiddleware(lambda request: HttpResponse()))
    with time_machine.travel(timezone.now() + timedelta(seconds=301)):
        with CaptureQueriesContext(connection) as captured:
            response = serve(request)
        assert not captured
        assert "Cookie" not in response.headers.get("Vary", "")


def test_a_save_moves_the_expiry_and_a_look_does_not(profile: str, ada: User) -> None:
    client = browser(ada)
    first = row_of(client).expires
    with time_machine.travel(timezone.now() + timedelta(days=3)):
        client.get("/auth/account/")
        assert row_of(client).expires == first
        client.post("/sessions/set-item/")
        client.get("/auth/account/")
        assert abs(row_of(client).expires - first - timedelta(days=3)) < timedelta(seconds=5)


def test_an_expiry_of_its_own_is_written_at_once(profile: str, ada: User) -> None:
    client = browser(ada)
    client.post("/expiry/in-seconds/", {"seconds": "60"})
    left = row_of(client).expires - timezone.now()
    assert left <= timedelta(seconds=60)
    # And once only.
    assert [index_writes(client) for _ in range(3)] == [0, 0, 0]


def test_there_and_back_again_is_written_each_time(profile: str, ada: User) -> None:
    client = browser(ada)
    for _ in range(2):
        client.post("/expiry/in-seconds/", {"seconds": "60"})
        assert row_of(client).expires <= timezone.now() + timedelta(seconds=60)
        # By another process, which does not know of that.
        forget_what_was_written()
        client.post("/expiry/by-settings/")
        assert row_of(client).expires > timezone.now() + timedelta(days=13)


def test_a_short_session_is_written_often_enough(
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
def under_way(path: str) -> Iterator[list[Callable[[], object]]]:
    """While a request for that path is under way, what is put into the list happens."""
    really = tracking.track
    meanwhile: list[Callable[[], object]] = []

    def follow(request: HttpRequest) -> None:
        while request.path == path and meanwhile:
            meanwhile.pop()()
        really(request)

    with mock.patch.object(tracking, "track", follow):
        yield meanwhile


def from_before_the_index(user: User) -> Client:
    """A browser that is signed in, of which nothing is written down."""
    client = browser(user)
    session = client.session
    del session[ROW_ITEM]
    session.save()
    client.cookies[django_settings.SESSION_COOKIE_NAME] = session.session_key or ""
    SignedInSession.objects.all().forget()
    return client


def twin_of(client: Client) -> Client:
    """Another tab of the same browser, whose request began before."""
    twin = browser()
    twin.cookies[django_settings.SESSION_COOKIE_NAME] = key_of(client)
    return twin


@pytest.mark.parametrize("change", ["/lifecycle/cycle-key/", "/devices/sign-out-others/"])
def test_a_late_request_does_not_put_an_old_key_back(change: str, profile: str, ada: User) -> None:
    client = browser(ada)
    with time_machine.travel(timezone.now() + timedelta(seconds=301)):
        twin = twin_of(client)
        with under_way("/auth/account/") as meanwhile:
            meanwhile.append(lambda: client.post(change))
            assert is_in(twin)
        row = SignedInSession.objects.get()
        assert row.session_key == ("" if profile in IN_COOKIES else key_of(client))
        assert row.auth_hash == auth_hashes.hashes_of(User.objects.get())[0]
        row.delete()
        assert not is_in(client)


def test_nor_a_key_that_is_newer_than_what_it_has_read(profile: str, ada: User) -> None:
    client = browser(ada)
    row = SignedInSession.objects.filter(pk=row_of(client).pk)
    row.update(auth_hash="other")
    forget_what_was_written()

    def meanwhile(*arguments: object) -> bool:
        row.update(auth_hash="newer")
        return True

    with mock.patch.object(tracking, "is_still_signed_in", meanwhile):
        is_in(client)
    assert row.get().auth_hash == "newer"


def test_a_late_request_of_a_session_that_was_ended_brings_no_row_back(
    profile: str, ada: User
) -> None:
    client, other = browser(ada), browser(ada)
    with time_machine.travel(timezone.now() + timedelta(seconds=301)):
        with under_way("/auth/account/") as meanwhile:
            meanwhile.append(lambda: other.post("/devices/sign-out-others/"))
            client.get("/auth/account/")
        assert SignedInSession.objects.get() == row_of(other)


def test_a_late_request_of_a_deleted_user_brings_none_back(profile: str, ada: User) -> None:
    client = browser(ada)
    late = timezone.now() + timedelta(seconds=301)
    with time_machine.travel(late), under_way("/auth/account/") as meanwhile:
        meanwhile.append(ada.delete)
        client.get("/auth/account/")
    assert not SignedInSession.objects.exists()


def test_two_requests_write_a_session_down_once(profile: str, ada: User) -> None:
    client = from_before_the_index(ada)
    twin = twin_of(client)
    with under_way("/auth/account/") as meanwhile:
        meanwhile.append(lambda: client.get("/auth/account/"))
        assert is_in(twin)
    assert SignedInSession.objects.get() == row_of(client) == row_of(twin)


def test_two_requests_bring_a_lost_row_back_once(profile: str, ada: User) -> None:
    client = browser(ada)
    row = row_of(client)
    SignedInSession.objects.all().forget()
    forget_what_was_written()
    really = session_registry.insert

    def twice(lost: SignedInSession) -> None:
        really(lost)
        really(lost)

    with mock.patch.object(session_registry, "insert", twice):
        assert is_in(client)
    assert SignedInSession.objects.get() == row


def test_the_id_of_any_session_is_one_that_the_database_keeps(ada: User) -> None:
    """MariaDB keeps zeros instead of a fourth of all that could be one."""
    for number in range(40):
        row_id = row_identity.id_from_key(f"{number:032}")
        assert row_identity.registered_id({ROW_ITEM: [row_id, None]}) == row_id
        row = SignedInSession(id=row_id, user=ada, engine="db", expires=timezone.now())
        session_registry.insert(row)
        assert str(SignedInSession.objects.get(pk=row_id).pk) == row_id
        row.delete()


def test_an_id_that_the_database_cannot_keep_is_none(ada: User) -> None:
    row_id = "00000000-0000-8000-0000-000000000000"
    session = {ROW_ITEM: [row_id, None]}
    expected = None if connection.vendor == "mysql" else row_id
    assert row_identity.registered_id(session) == expected


def test_a_session_from_before_the_index_is_written_down(profile: str, ada: User) -> None:
    client = from_before_the_index(ada)
    client.get("/auth/account/")
    row = SignedInSession.objects.get()
    assert row == row_of(client)
    assert (row.user, row.browser) == (ada, "Firefox")
    client.get("/auth/account/")
    assert SignedInSession.objects.get() == row


def test_but_not_one_whose_password_is_another_now(profile: str, ada: User) -> None:
    client = from_before_the_index(ada)
    User.objects.update(password="!")
    client.get("/auth/account/")
    assert not SignedInSession.objects.exists()


def test_a_row_that_was_lost_comes_back_under_its_id(profile: str, ada: User) -> None:
    client = browser(ada)
    row = row_of(client)
    SignedInSession.objects.all().forget()
    forget_what_was_written()
    client.get("/auth/account/")
    assert SignedInSession.objects.get() == row


def test_but_not_if_somebody_has_ended_it(profile: str, ada: User, rf: RequestFactory) -> None:
    client = browser(ada)
    request: Any = rf.get("/")
    request.session, request.user = client.session, ada
    # As a request that was under way when somebody ended its session.
    _ = request.session[ROW_ITEM]
    row_of(client).delete()
    forget_what_was_written()
    tracking.track(request)
    assert not SignedInSession.objects.exists()


def test_a_view_that_fails_writes_nothing_down(profile: str, ada: User, rf: RequestFactory) -> None:
    client = browser(ada)
    SignedInSession.objects.all().forget()
    forget_what_was_written()
    client.raise_request_exception = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cookieproj.devices.views.devices_of", None)
        patch.setattr(tracking, "track", follow := Counted())
        assert client.get("/devices/").status_code == 500
    # The view's own, not the middleware's.
    assert follow.calls == 1


class Counted:
    calls = 0

    def __call__(self, *args: object) -> None:
        self.calls += 1


def test_without_the_store_the_index_waits(profile: str, ada: User) -> None:
    client = browser(ada)
    forget_what_was_written()
    away = StoreUnavailableError("there", "gone")
    SignedInSession.objects.update(auth_hash="another")
    with mock.patch.object(stored_sessions, "rows_with_session", side_effect=away):
        assert is_in(client)
    assert SignedInSession.objects.get().auth_hash == "another"
    forget_what_was_written()
    assert is_in(client)
    assert SignedInSession.objects.get().auth_hash == auth_hashes.hashes_of(ada)[0]


def test_signals_without_a_session_are_no_session(ada: User, rf: RequestFactory) -> None:
    for request in (None, rf.get("/")):
        user_logged_in.send(User, request=request, user=ada)
        user_logged_out.send(User, request=request, user=ada)
    assert not SignedInSession.objects.exists()


def test_an_anonymous_session_is_none_of_its_business(profile: str, rf: RequestFactory) -> None:
    client = browser()
    client.post("/sessions/set-item/")
    assert index_writes(client, "/sessions/items/") == 0
    request: Any = rf.get("/")
    request.session, request.user = client.session, AnonymousUser()
    tracking.track(request)
    assert not SignedInSession.objects.exists()


@ON_SERVER
def test_deleting_a_row_deletes_what_is_stored(
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
def test_from_the_cache_as_well_as_from_the_table(profile: str, ada: User) -> None:
    client = browser(ada)
    is_in(client)
    cached = f"django.contrib.sessions.cached_db{key_of(client)}"
    assert caches["sessions"].get(cached)
    row_of(client).delete()
    assert not Session.objects.exists()
    redis = caches["sessions"].client.get_client()  # type: ignore[attr-defined]
    # No session, nor anything that could be read as one.
    assert redis.get(caches["sessions"].make_key(cached)).startswith(b"~")


@on("db", "cached_db")
def test_deleting_the_stored_row_by_the_orm_signs_out(profile: str, ada: User) -> None:
    client = browser(ada)
    is_in(client)
    Session.objects.all().delete()
    assert not is_in(client)


@on(*COOKIE_ENGINES)
def test_on_signed_cookies_what_is_ended_is_refused_until_it_would_have_expired(
    profile: str, ada: User
) -> None:
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
def test_a_refusal_lasts_as_long_as_any_cookie_may(profile: str, ada: User) -> None:
    client = browser(ada)
    row = row_of(client)
    SignedInSession.objects.filter(pk=row.pk).update(expires=timezone.now())
    row_of(client).delete()
    assert RefusedSession.objects.get().until >= timezone.now() + AGE


@on(*COOKIE_ENGINES)
def test_who_cannot_be_asked_about_refusals_lets_nobody_in(profile: str, ada: User) -> None:
    client = browser(ada)
    away = OperationalError("gone")
    with mock.patch("cookieproj.devices.refused_sessions.is_refused", side_effect=away):
        assert client.get("/auth/account/").status_code == 503
    assert is_in(client)


def test_refusals_are_asked_for_on_signed_cookies_only(profile: str, ada: User) -> None:
    client = browser(ada)
    with CaptureQueriesContext(connection) as captured:
        client.get("/auth/account/")
    asked = sum("cookieproj_devices_refusedsession" in query["sql"] for query in captured)
    assert asked == (1 if profile in IN_COOKIES else 0)


@on(*COOKIE_ENGINES)
def test_who_is_not_signed_in_costs_no_query(profile: str) -> None:
    client = browser()
    client.post("/sessions/set-item/")
    with CaptureQueriesContext(connection) as captured:
        client.get("/sessions/items/")
    assert not captured


def test_deleting_a_user_ends_their_sessions(
    profile: str, store: type[SessionBase], ada: User
) -> None:
    client = browser(ada)
    key = key_of(client)
    ada.delete()
    assert not SignedInSession.objects.exists()
    if profile not in IN_COOKIES:
        assert not store().exists(key)
    assert not is_in(client)


def test_what_expired_a_moment_ago_may_live_longer_than_its_row_knows(
    profile: str, ada: User
) -> None:
    client = browser(ada)
    row = SignedInSession.objects.filter(pk=row_of(client).pk)
    for seconds, left in (
        (2 * write_throttle.LAST_SEEN_INTERVAL - 50, 1),
        (2 * write_throttle.LAST_SEEN_INTERVAL + 50, 0),
    ):
        row.update(expires=timezone.now() - timedelta(seconds=seconds))
        call_command("clearsessions", verbosity=0)
        assert SignedInSession.objects.count() == left


def test_clearsessions_forgets_the_expired(
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
        # Redis and files go by clocks of their own; the index by the row's expiry.
        assert SignedInSession.objects.filter(expires__gt=timezone.now()).count() == 1
        assert SignedInSession.objects.count() == 1


@ON_SERVER
def test_clearsessions_forgets_what_is_no_longer_stored(
    profile: str, store: type[SessionBase], ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clear_registry, "BATCH_SIZE", 2)
    clients = [browser(ada) for _ in range(5)]
    for client in clients[:2]:
        store().delete(key_of(client))
    out = StringIO()
    call_command("clearsessions", stdout=out)
    assert "Removed 2 sign-in records whose sessions no longer exist." in out.getvalue()
    left = {row.session_key for row in SignedInSession.objects.all()}
    assert left == {key_of(client) for client in clients[2:]}


@ON_SERVER
def test_clearsessions_leaves_alone_a_row_that_has_just_got_another_key(
    profile: str, store: type[SessionBase], ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = browser(ada)
    store().delete(key_of(client))
    really = stored_sessions.rows_with_session

    def slowly(rows: list[SignedInSession]) -> list[SignedInSession]:
        found = really(rows)
        SignedInSession.objects.update(sealed_key="another")
        return found

    monkeypatch.setattr(stored_sessions, "rows_with_session", slowly)
    call_command("clearsessions", verbosity=0)
    assert SignedInSession.objects.count() == 1


@on("cache")
def test_what_another_process_keeps_in_its_memory_is_not_forgotten(
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
def test_a_session_of_an_engine_that_is_gone_is_not_ended(
    engine: str, profile: str, ada: User
) -> None:
    """If the engine comes back it is signed in again."""
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
def test_a_session_of_another_engine_ends_there(
    profile: str, settings: Settings, ada: User
) -> None:
    settings.SESSION_ENGINE = "cookieproj.engines.file"
    client = browser(ada)
    settings.SESSION_ENGINE = "cookieproj.engines.db"
    SignedInSession.objects.all().delete()
    assert not FileStore().exists(key_of(client))


@on("db")
def test_nor_does_one_whose_folder_is_gone(
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
def test_djangos_engine_keeps_the_same_sessions(
    profile: str, settings: Settings, ada: User
) -> None:
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
def test_the_address_is_as_true_as_the_proxies(
    proxies: int, forwarded: str, expected: str | None, settings: Settings, rf: RequestFactory
) -> None:
    settings.DEVICES_PROXIES = proxies
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    assert address_of(rf.get("/", headers=headers, REMOTE_ADDR="192.0.2.1")) == expected


def test_a_unix_socket_has_no_address(rf: RequestFactory) -> None:
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
def test_devices(agent: str, device: tuple[str, str], rf: RequestFactory) -> None:
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
def test_how_a_device_is_called(browser: str, system: str, name: str) -> None:
    assert SignedInSession(browser=browser, system=system).device == name


def test_the_index_never_spells_a_key(profile: str, ada: User) -> None:
    client = browser(ada)
    row = row_of(client)
    assert key_of(client) not in f"{row} {row!r}"


@pytest.fixture
def taken_by_surprise(
    stores: dict[str, str], profile: str
) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Ada's PostgreSQL, which takes no writes from then on over any connection."""
    url = stores["DATABASE_URL"]
    with connected(url):
        User.objects.filter(username="ada").update(password=make_password("cookies"))
        yield lambda: read_only(url)
        connection.close()
        SignedInSession.objects.all().forget()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/auth/account/", "/devices/", "/sessions/get-item/?key=a"])
def test_a_page_that_only_reads_needs_no_database_that_takes_writes(
    path: str,
    profile: str,
    taken_by_surprise: Callable[[], AbstractContextManager[None]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = browser(User.objects.get(username="ada"))
    SignedInSession.objects.update(last_seen=timezone.now() - timedelta(hours=1))
    long_ago = row_of(client).last_seen
    client.raise_request_exception = False
    forget_what_was_written()
    caplog.clear()
    with taken_by_surprise():
        assert client.get(path).status_code == 200
        (line,) = caplog.records
        assert "make this server writable again" in line.getMessage()
        assert line.exc_info is None
        assert row_of(client).last_seen == long_ago
    # The first may find that its connection is from then.
    for _ in range(2):
        forget_what_was_written()
        assert client.get(path).status_code == 200
    assert row_of(client).last_seen > long_ago


@on("cache")
@pytest.mark.django_db(transaction=True)
def test_nor_does_a_device_that_is_gone(
    profile: str, taken_by_surprise: Callable[[], AbstractContextManager[None]]
) -> None:
    ada = User.objects.get(username="ada")
    client, gone = browser(ada), browser(ada)
    gone.session.delete()
    client.raise_request_exception = False
    with taken_by_surprise():
        assert client.get("/devices/").status_code == 200
    assert SignedInSession.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_written_is_not_tried_by_every_request(
    profile: str,
    taken_by_surprise: Callable[[], AbstractContextManager[None]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = browser(User.objects.get(username="ada"))
    SignedInSession.objects.update(last_seen=timezone.now() - timedelta(hours=1))
    forget_what_was_written()
    caplog.clear()
    with taken_by_surprise():
        for _ in range(3):
            assert client.get("/auth/account/").status_code == 200
        assert len(caplog.records) == 1


@on(*COOKIE_ENGINES)
@pytest.mark.django_db(transaction=True)
def test_refusals_that_have_no_table_are_said_to_have_none(
    profile: str,
    taken_by_surprise: Callable[[], AbstractContextManager[None]],
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
def test_a_session_that_cannot_be_refused_does_not_end(
    profile: str,
    taken_by_surprise: Callable[[], AbstractContextManager[None]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = browser(User.objects.get(username="ada"))
    client.raise_request_exception = False
    with taken_by_surprise():
        response = client.post("/lifecycle/flush/")
        assert response.status_code == 503
        assert "reports an error" in response.text
        assert not any(record.exc_info for record in caplog.records)
        assert not response.cookies
        assert is_in(client)


@on("cache")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("statement", "in_a_transaction"), [("SELECT is_none FRM nowhere", False), ("", True)]
)
def test_a_mistake_in_the_index_is_no_luxury(
    statement: str, in_a_transaction: bool, profile: str, ada: User, tmp_path: Path
) -> None:
    def write(*_: object) -> None:
        if not statement:
            raise OperationalError("gone")
        with connection.cursor() as cursor:
            cursor.execute(statement)

    client = browser(ada)
    forget_what_was_written()
    with (
        mock.patch.object(tracking, "touch", write),
        transaction.atomic() if in_a_transaction else nullcontext(),
        # A mistake in a statement is the one to SQLite, and the other to PostgreSQL.
        pytest.raises((OperationalError, ProgrammingError)),
    ):
        client.get("/auth/account/")
