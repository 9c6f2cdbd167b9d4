"""A session is told to have ended when it has: for what it ended by, and once."""

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
from cookieproj.urls import urlpatterns as site
from demo.models import User
from tests.browsers import IPHONE, again, browser, is_in, key_of, row_of
from tests.conftest import on
from tests.families import COOKIE_ENGINES

from .conftest import Heard, told

pytestmark = pytest.mark.django_db(transaction=True)

ENGINES = [
    f"{family}{name}"
    for name in ("db", "cache", "file", "cached_db", "signed_cookies")
    for family in ("cookieproj.engines.", "django.contrib.sessions.backends.")
]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, settings: Settings, empty_stores: None) -> str:
    settings.SESSION_ENGINE = request.param
    return str(request.param)


def with_new_password(request: HttpRequest) -> HttpResponse:
    """Saved twice, as a view may that first checks, and then keeps what else was filled in."""
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
    """A sign-in over the session of somebody else, where nobody has asked for the user before."""
    user = get_user_model().objects.get(username="admin")
    login(request, user, "django.contrib.auth.backends.ModelBackend")
    return HttpResponse()


def as_ada(request: HttpRequest) -> HttpResponse:
    """The same where somebody has: a session that does not hold is flushed by that."""
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


UNTOLD = pytest.mark.parametrize("change", [by_query, by_bulk_update])


# Whose own session has changed the password.


def test_only_the_others_end_by_a_new_password(engine: str, ada: User, heard: Heard) -> None:
    client, other = browser(ada), browser(ada, IPHONE)
    kept, ended = pk_of(client), pk_of(other)
    heard.clear()
    assert client.get("/new-password").status_code == 200
    assert told(heard) == [("password changed", ended)]
    assert is_in(client)
    assert not is_in(other)
    assert pk_of(client) == kept
    assert told(heard) == [("password changed", ended)]
    assert [str(row.pk) for row in SignedInSession.objects.live()] == [kept]


def test_its_own_ends_too_where_it_gets_no_new_hash(engine: str, ada: User, heard: Heard) -> None:
    client, other = browser(ada), browser(ada, IPHONE)
    rows = {pk_of(client), pk_of(other)}
    heard.clear()
    client.get("/new-password-alone")
    assert sorted(told(heard)) == sorted(("password changed", row) for row in rows)
    assert not is_in(client)
    assert len(heard) == 2


@on("db", *COOKIE_ENGINES)
def test_nor_does_the_admins_who_changes_that_of_another(
    profile: str, ada: User, admin: User, heard: Heard
) -> None:
    client, staff = browser(ada), browser(admin)
    row = pk_of(client)
    heard.clear()
    form = {"password1": "a3-Long_one", "password2": "a3-Long_one", "usable_password": "true"}
    assert staff.post(f"/admin/demo/user/{ada.pk}/password/", form).status_code == 302
    assert told(heard) == [("password changed", row)]
    assert is_in(staff)


# Another user in the same browser.


def test_a_sign_in_over_a_session_ends_it(
    engine: str, ada: User, admin: User, heard: Heard
) -> None:
    client = browser(ada)
    row, copied = pk_of(client), key_of(client)
    heard.clear()
    assert client.get("/as-admin").status_code == 200
    assert told(heard) == [("another user signed in", row), ("started", pk_of(client))]
    assert [each.user for each in SignedInSession.objects.all()] == [admin]
    if engine != "django.contrib.sessions.backends.signed_cookies":
        client.cookies["sessionid"] = copied
        assert not is_in(client)
        assert len(heard) == 2


def test_so_does_a_flush(engine: str, ada: User, heard: Heard) -> None:
    client = browser(ada)
    row = pk_of(client)
    heard.clear()
    client.get("/flushing")
    assert told(heard) == [("signed out", row)]
    assert not SignedInSession.objects.exists()


@on("db", "cache", "file", "cached_db")
def test_so_it_does_with_a_signed_id(
    profile: str, ada: User, heard: Heard, settings: Settings
) -> None:
    settings.SESSION_ID_SIGNED = True
    test_so_does_a_flush(profile, ada, heard)


def test_a_sign_out_is_told_once(engine: str, ada: User, heard: Heard) -> None:
    client = browser(ada)
    row = pk_of(client)
    heard.clear()
    client.post("/auth/sign-out/")
    assert told(heard) == [("signed out", row)]


# What sends no signal.


@UNTOLD
def test_it_is_told_when_the_session_is_next_used(
    engine: str, ada: User, heard: Heard, change: Any
) -> None:
    client = browser(ada)
    row = pk_of(client)
    heard.clear()
    change(ada)
    assert told(heard) == []
    assert not is_in(client)
    assert told(heard) == [("password changed", row)]
    assert not is_in(client)
    assert not SignedInSession.objects.exists()
    assert len(heard) == 1


@pytest.mark.parametrize("page", ["/as-ada", "/as-admin"])
def test_also_by_a_sign_in_over_it(
    engine: str, ada: User, admin: User, heard: Heard, page: str
) -> None:
    client = browser(ada)
    row = pk_of(client)
    heard.clear()
    by_query(ada)
    assert client.get(page).status_code == 200
    assert sorted(told(heard)) == sorted([("password changed", row), ("started", pk_of(client))])
    assert [str(each.pk) for each in SignedInSession.objects.all()] == [pk_of(client)]


@UNTOLD
def test_it_is_told_when_it_is_listed(engine: str, ada: User, heard: Heard, change: Any) -> None:
    client = browser(ada)
    row = pk_of(client)
    heard.clear()
    change(ada)
    for _ in range(2):
        assert devices_of(ada) == []
        assert told(heard) == [("password changed", row)]
    assert not SignedInSession.objects.live().exists()
    assert not is_in(client)
    assert len(heard) == 1


@on("db")
def test_the_list_goes_by_the_user_of_now(profile: str, ada: User, heard: Heard) -> None:
    """Where that of its request was read before the password was another."""
    old = User.objects.get(pk=ada.pk)
    client = browser(ada)
    row = pk_of(client)
    client.get("/new-password")
    heard.clear()
    assert [str(each.pk) for each in devices_of(old)] == [row]
    assert heard == []


@on("db")
def test_the_admin_lists_no_session_that_has_so_ended(
    profile: str, ada: User, admin: User, heard: Heard
) -> None:
    client, staff = browser(ada, IPHONE), browser(admin)
    row = pk_of(client)
    heard.clear()
    by_query(ada)
    page = staff.get("/admin/cookieproj_devices/signedinsession/").text
    assert "Firefox on Linux" in page
    assert "Mobile Safari on iOS" not in page
    assert told(heard) == [("password changed", row)]


def test_clearsessions_finds_it(engine: str, ada: User, heard: Heard) -> None:
    client, other = browser(ada), browser(ada)
    rows = {pk_of(client), pk_of(other)}
    heard.clear()
    by_query(ada)
    for _ in range(2):
        call_command("clearsessions", verbosity=0)
    assert sorted(told(heard)) == sorted(("password changed", row) for row in rows)
    assert not SignedInSession.objects.live().exists()


@on("db", "file")
def test_a_sign_out_everywhere_counts_only_what_it_has_ended(
    profile: str, ada: User, heard: Heard
) -> None:
    old, by = pk_of(browser(ada)), make_password("cookies")
    User.objects.update(password=by)
    new = pk_of(browser(ada))
    heard.clear()
    assert sign_out_everywhere(ada) == 1
    assert sorted(told(heard)) == sorted(
        [("password changed", old), ("signed out everywhere", new)]
    )


class Reviewer(User):
    """As an app of a site has it, for an admin of its own."""

    class Meta:
        proxy = True
        app_label = "demo"


@on("db", "cache")
def test_a_proxy_of_the_user_changes_the_password(profile: str, ada: User, heard: Heard) -> None:
    row = pk_of(browser(ada))
    heard.clear()
    proxied = Reviewer.objects.get(pk=ada.pk)
    proxied.set_password("another")
    proxied.save()
    assert told(heard) == [("password changed", row)]


# In a transaction that is rolled back.


def undone(change: Callable[[], object]) -> None:
    with transaction.atomic():
        change()
        transaction.set_rollback(True)


def new_password(user: User) -> None:
    user.set_password("another")
    user.save()


@on("db", "cache", *COOKIE_ENGINES)
def test_a_password_that_was_not_changed_is_not_told(profile: str, ada: User, heard: Heard) -> None:
    client = browser(ada)
    heard.clear()
    undone(lambda: new_password(ada))
    assert heard == []
    assert is_in(client)
    with transaction.atomic():
        new_password(User.objects.get(pk=ada.pk))
        assert heard == []
    assert len(heard) == 1


@on("db", "cache", *COOKIE_ENGINES)
def test_nor_is_a_sign_out_everywhere(profile: str, ada: User, heard: Heard) -> None:
    client = browser(ada)
    heard.clear()
    undone(lambda: sign_out_everywhere(ada))
    assert heard == []
    if profile != "cache":
        assert is_in(client)


@pytest.mark.parametrize("engine", ENGINES[:-1], indirect=True)
def test_one_that_was_ended_is_told_if_it_has(engine: str, ada: User, heard: Heard) -> None:
    """What is deleted from files or a cache is gone, whatever becomes of the transaction."""
    client = browser(ada)
    row, pk = row_of(client), pk_of(client)
    heard.clear()
    undone(row.delete)
    has_told = told(heard)
    is_out = not is_in(client)
    assert has_told == ([("ended", pk)] if is_out else [])
    assert is_out == engine.endswith((".cache", ".file"))


@on("db", "cache", *COOKIE_ENGINES)
def test_a_view_that_fails_has_signed_nobody_in_or_out(
    profile: str, ada: User, heard: Heard, settings: Settings
) -> None:
    client, other = browser(ada), browser(ada)
    heard.clear()
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        client.raise_request_exception = False
        assert client.get("/failing").status_code == 500
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False
    assert heard == []
    assert is_in(other)
    assert is_in(again(other))
