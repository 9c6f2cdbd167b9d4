"""``session_ended`` is sent once for each session that has ended, with the true reason."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model, login, update_session_auth_hash
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from pytest_django import Settings

from cookieproj.devices.models import SignedInSession
from cookieproj.devices.signing_out import devices_of, sign_out_everywhere
from cookieproj.engines.constants import DJANGO_ENGINE_NAMES, DJANGO_ENGINES, OUR_ENGINES
from cookieproj.urls import urlpatterns as site
from demo.models import User
from tests.browsers import IPHONE, again, browser, is_in, key_of, row_of
from tests.conftest import on
from tests.families import COOKIE_ENGINES, SERVER_ENGINES

from .conftest import SentSignals

pytestmark = pytest.mark.django_db(transaction=True)

ENGINES = [
    f"{family}{name}"
    for name in (*SERVER_ENGINES, "signed_cookies")
    for family in (OUR_ENGINES, DJANGO_ENGINES)
    if family == OUR_ENGINES or name in DJANGO_ENGINE_NAMES
]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, settings: Settings, empty_stores: None) -> str:
    settings.SESSION_ENGINE = request.param
    return str(request.param)


def with_new_password(request: HttpRequest) -> HttpResponse:
    """Saves the user twice, as a view with several forms may."""
    user: Any = request.user
    user.set_password("another")
    user.save()
    update_session_auth_hash(request, user)
    user.first_name = "Ada"
    user.save()
    return HttpResponse()


def with_new_password_alone(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    user.set_password("another")
    user.save()
    return HttpResponse()


def as_admin(request: HttpRequest) -> HttpResponse:
    """Signs in over another user's session, without reading ``request.user`` first."""
    user = get_user_model().objects.get(username="admin")
    login(request, user, "django.contrib.auth.backends.ModelBackend")
    return HttpResponse()


def as_ada(request: HttpRequest) -> HttpResponse:
    """Signs in after reading ``request.user``, which flushes a session that is not valid."""
    _ = request.user.is_authenticated
    login(request, get_user_model().objects.get(username="ada"))
    return HttpResponse()


def failing(request: HttpRequest) -> HttpResponse:
    with_new_password(request)
    raise ValueError("after the password")


def flushing(request: HttpRequest) -> HttpResponse:
    request.session.flush()
    return HttpResponse()


urlpatterns = [
    path("new-password", with_new_password),
    path("new-password-alone", with_new_password_alone),
    path("as-admin", as_admin),
    path("as-ada", as_ada),
    path("failing", failing),
    path("flushing", flushing),
    *site,
]


@pytest.fixture(autouse=True)
def urls(settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]


def pk_of(client: Client) -> str:
    return str(row_of(client).pk)


def by_query(user: User) -> None:
    User.objects.filter(pk=user.pk).update(password=make_password("another"))


def by_bulk_update(user: User) -> None:
    user.set_password("another")
    User.objects.bulk_update([user], ["password"])


WITHOUT_SIGNAL = pytest.mark.parametrize("change", [by_query, by_bulk_update])


# A user changes the password in a session.


def test_password_change_ends_all_but_the_session_it_updates(
    engine: str, ada: User, sent_signals: SentSignals
) -> None:
    client, other = browser(ada), browser(ada, IPHONE)
    kept, ended = pk_of(client), pk_of(other)
    sent_signals.clear()
    assert client.get("/new-password").status_code == 200
    assert sent_signals == [("password changed", ended)]
    assert is_in(client)
    assert not is_in(other)
    assert pk_of(client) == kept
    assert sent_signals == [("password changed", ended)]
    assert [str(row.pk) for row in SignedInSession.objects.live()] == [kept]


def test_password_change_ends_own_session_too_without_hash_update(
    engine: str, ada: User, sent_signals: SentSignals
) -> None:
    client, other = browser(ada), browser(ada, IPHONE)
    rows = {pk_of(client), pk_of(other)}
    sent_signals.clear()
    client.get("/new-password-alone")
    assert sorted(sent_signals) == sorted(("password changed", row) for row in rows)
    assert not is_in(client)
    assert len(sent_signals) == 2


@on("db", *COOKIE_ENGINES)
def test_password_change_by_admin_keeps_the_admins_session(
    profile: str, ada: User, admin: User, sent_signals: SentSignals
) -> None:
    client, staff = browser(ada), browser(admin)
    row = pk_of(client)
    sent_signals.clear()
    form = {"password1": "a3-Long_one", "password2": "a3-Long_one", "usable_password": "true"}
    assert staff.post(f"/admin/demo/user/{ada.pk}/password/", form).status_code == 302
    assert sent_signals == [("password changed", row)]
    assert is_in(staff)


# A session ends in its own browser.


def test_sign_in_of_another_user_ends_the_session(
    engine: str, ada: User, admin: User, sent_signals: SentSignals
) -> None:
    client = browser(ada)
    row, copied = pk_of(client), key_of(client)
    sent_signals.clear()
    assert client.get("/as-admin").status_code == 200
    assert sent_signals == [("another user signed in", row), ("started", pk_of(client))]
    assert [each.user for each in SignedInSession.objects.all()] == [admin]
    if engine != "django.contrib.sessions.backends.signed_cookies":
        client.cookies["sessionid"] = copied
        assert not is_in(client)
        assert len(sent_signals) == 2


def test_flush_is_a_sign_out(engine: str, ada: User, sent_signals: SentSignals) -> None:
    client = browser(ada)
    row = pk_of(client)
    sent_signals.clear()
    client.get("/flushing")
    assert sent_signals == [("signed out", row)]
    assert not SignedInSession.objects.exists()


@on(*SERVER_ENGINES)
def test_flush_is_a_sign_out_with_signed_id(
    profile: str, ada: User, sent_signals: SentSignals, settings: Settings
) -> None:
    settings.SESSION_ID_SIGNED = True
    test_flush_is_a_sign_out(profile, ada, sent_signals)


def test_sign_out_sends_one_signal(engine: str, ada: User, sent_signals: SentSignals) -> None:
    client = browser(ada)
    row = pk_of(client)
    sent_signals.clear()
    client.post("/auth/sign-out/")
    assert sent_signals == [("signed out", row)]


# A password changes without a signal of Django's.


@WITHOUT_SIGNAL
def test_unnoticed_password_change_is_sent_at_next_request(
    engine: str, ada: User, sent_signals: SentSignals, change: Any
) -> None:
    client = browser(ada)
    row = pk_of(client)
    sent_signals.clear()
    change(ada)
    assert sent_signals == []
    assert not is_in(client)
    assert sent_signals == [("password changed", row)]
    assert not is_in(client)
    assert not SignedInSession.objects.exists()
    assert len(sent_signals) == 1


@pytest.mark.parametrize("page", ["/as-ada", "/as-admin"])
def test_unnoticed_password_change_is_sent_at_next_sign_in(
    engine: str, ada: User, admin: User, sent_signals: SentSignals, page: str
) -> None:
    client = browser(ada)
    row = pk_of(client)
    sent_signals.clear()
    by_query(ada)
    assert client.get(page).status_code == 200
    assert sorted(sent_signals) == sorted([("password changed", row), ("started", pk_of(client))])
    assert [str(each.pk) for each in SignedInSession.objects.all()] == [pk_of(client)]


@WITHOUT_SIGNAL
def test_unnoticed_password_change_is_sent_when_devices_are_listed(
    engine: str, ada: User, sent_signals: SentSignals, change: Any
) -> None:
    client = browser(ada)
    row = pk_of(client)
    sent_signals.clear()
    change(ada)
    for _ in range(2):
        assert devices_of(ada) == []
        assert sent_signals == [("password changed", row)]
    assert not SignedInSession.objects.live().exists()
    assert not is_in(client)
    assert len(sent_signals) == 1


@on("db")
def test_devices_of_outdated_user_object_are_those_of_the_stored_user(
    profile: str, ada: User, sent_signals: SentSignals
) -> None:
    """The request may have read the user before the password changed."""
    outdated = User.objects.get(pk=ada.pk)
    client = browser(ada)
    row = pk_of(client)
    client.get("/new-password")
    sent_signals.clear()
    assert [str(each.pk) for each in devices_of(outdated)] == [row]
    assert sent_signals == []


@on("db")
def test_unnoticed_password_change_is_sent_when_admin_lists_sessions(
    profile: str, ada: User, admin: User, sent_signals: SentSignals
) -> None:
    client, staff = browser(ada, IPHONE), browser(admin)
    row = pk_of(client)
    sent_signals.clear()
    by_query(ada)
    page = staff.get("/admin/cookieproj_devices/signedinsession/").text
    assert "Firefox on Linux" in page
    assert "Mobile Safari on iOS" not in page
    assert sent_signals == [("password changed", row)]


def test_unnoticed_password_change_is_sent_by_clearsessions(
    engine: str, ada: User, sent_signals: SentSignals
) -> None:
    client, other = browser(ada), browser(ada)
    rows = {pk_of(client), pk_of(other)}
    sent_signals.clear()
    by_query(ada)
    for _ in range(2):
        call_command("clearsessions", verbosity=0)
    assert sorted(sent_signals) == sorted(("password changed", row) for row in rows)
    assert not SignedInSession.objects.live().exists()


@on("db", "file")
def test_sign_out_everywhere_counts_only_sessions_it_has_ended(
    profile: str, ada: User, sent_signals: SentSignals
) -> None:
    old = pk_of(browser(ada))
    User.objects.update(password=make_password("cookies"))
    new = pk_of(browser(ada))
    sent_signals.clear()
    assert sign_out_everywhere(ada) == 1
    assert sorted(sent_signals) == sorted(
        [("password changed", old), ("signed out everywhere", new)]
    )


class Reviewer(User):
    """A proxy of the user, as a site has for a second admin of its users."""

    class Meta:
        proxy = True
        app_label = "demo"


@on("db", "cache")
def test_password_change_through_proxy_model_sends_signal(
    profile: str, ada: User, sent_signals: SentSignals
) -> None:
    row = pk_of(browser(ada))
    sent_signals.clear()
    proxied = Reviewer.objects.get(pk=ada.pk)
    proxied.set_password("another")
    proxied.save()
    assert sent_signals == [("password changed", row)]


# A transaction is rolled back.


def rolled_back(change: Callable[[], object]) -> None:
    with transaction.atomic():
        change()
        transaction.set_rollback(True)


def change_password(user: User) -> None:
    user.set_password("another")
    user.save()


@on("db", "cache", *COOKIE_ENGINES)
def test_password_change_that_is_rolled_back_sends_no_signal(
    profile: str, ada: User, sent_signals: SentSignals
) -> None:
    client = browser(ada)
    sent_signals.clear()
    rolled_back(lambda: change_password(ada))
    assert sent_signals == []
    assert is_in(client)
    with transaction.atomic():
        change_password(User.objects.get(pk=ada.pk))
        assert sent_signals == []
    assert len(sent_signals) == 1


@on("db", "cache", *COOKIE_ENGINES)
def test_sign_out_everywhere_that_is_rolled_back_sends_no_signal(
    profile: str, ada: User, sent_signals: SentSignals
) -> None:
    client = browser(ada)
    sent_signals.clear()
    rolled_back(lambda: sign_out_everywhere(ada))
    assert sent_signals == []
    if profile != "cache":
        assert is_in(client)


@pytest.mark.parametrize("engine", ENGINES[:-1], indirect=True)
def test_deletion_that_is_rolled_back_sends_signal_if_session_is_gone(
    engine: str, ada: User, sent_signals: SentSignals
) -> None:
    """A rollback does not restore sessions that were deleted from files or a cache."""
    client = browser(ada)
    row, pk = row_of(client), pk_of(client)
    sent_signals.clear()
    rolled_back(row.delete)
    sent_before_request = list(sent_signals)
    has_ended = not is_in(client)
    assert sent_before_request == ([("ended", pk)] if has_ended else [])
    assert has_ended == engine.endswith((".cache", ".file", ".mongodb"))


@on("db", "cache", *COOKIE_ENGINES)
def test_failing_view_in_atomic_request_sends_no_signal(
    profile: str, ada: User, sent_signals: SentSignals, settings: Settings
) -> None:
    client, other = browser(ada), browser(ada)
    sent_signals.clear()
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        client.raise_request_exception = False
        assert client.get("/failing").status_code == 500
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False
    assert sent_signals == []
    assert is_in(other)
    assert is_in(again(other))
