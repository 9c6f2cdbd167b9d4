"""A secret that a page of the admin hides is not told by what the page can be asked either."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin as site
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.db.models import Model
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from cookieproj.devices.admin_lookups import field_path
from cookieproj.devices.models import SignedInSession
from demo.models import User
from tests.browsers import browser, key_of, row_of
from tests.conftest import on

USERS, SIGNED_IN, GROUPS = (
    "/admin/demo/user/",
    "/admin/cookieproj_devices/signedinsession/",
    "/admin/auth/group/",
)
# Of a secret, as many letters as would show that all can be found.
ENOUGH = 4

ADMINS: dict[type[Model], Any] = {
    model: found for model, found in site.site._registry.items() if model._meta.managed
}


@pytest.fixture
def viewer(db: None) -> Client:
    """Staff who may see everything, and change nothing."""
    user = User.objects.create_user("viewer", password="cookies", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return browser(user)


def is_listed(client: Client, path: str, **query: str) -> bool:
    """Whether the question is answered by showing a row, which is what one asks for."""
    response = client.get(path, query)
    return response.status_code == 200 and '<th class="field-' in response.content.decode()


def spelled(client: Client, path: str, row: object, name: str, form: str, secret: str) -> str:
    """As much as its answers tell of what a column of that row begins with.

    Whoever guesses letter by letter comes by these, and goes on when the row is listed.
    """
    for length in range(1, ENOUGH + 1):
        guess = form.format(re.escape(secret[:length]) if "^" in form else secret[:length])
        if not is_listed(client, path, id=str(row), **{name: guess}):
            return secret[: length - 1]
    return secret[:ENOUGH]


COLUMNS = [
    *((SIGNED_IN, column) for column in ("session_key", "sealed_key", "auth_hash")),
    *((SIGNED_IN, f"user__{column}") for column in ("password", "session_hashes")),
    *((USERS, column) for column in ("password", "session_hashes")),
    *((USERS, f"signed_in_sessions__{column}") for column in ("session_key", "auth_hash")),
    *((GROUPS, f"user__{column}") for column in ("password", "session_hashes")),
    (GROUPS, "user__signed_in_sessions__session_key"),
]


@on("db")
@pytest.mark.parametrize(("path", "column"), COLUMNS)
@pytest.mark.parametrize(("lookup", "form"), [("startswith", "{}"), ("regex", "^{}")])
def test_no_secret_is_spelled_out(
    path: str, column: str, lookup: str, form: str, profile: str, viewer: Client, admin: User
) -> None:
    theirs = browser(admin)
    User.objects.filter(pk=admin.pk).update(session_hashes="secret")
    group = Group.objects.create(name="all")
    admin.groups.set([group])
    signed_in = row_of(theirs)
    row = {USERS: admin.pk, GROUPS: group.pk, SIGNED_IN: signed_in.pk}[path]
    secrets = {
        "session_key": key_of(theirs),
        "sealed_key": signed_in.sealed_key or "",
        "auth_hash": signed_in.auth_hash,
        "password": admin.password,
        "session_hashes": "secret",
    }
    secret = secrets[column.rsplit("__", maxsplit=1)[-1]]
    assert len(secret) >= ENOUGH
    assert is_listed(viewer, path, id=str(row))
    assert spelled(viewer, path, row, f"{column}__{lookup}", form, secret) == ""


@on("db")
def test_what_is_shown_may_be_asked(profile: str, viewer: Client, admin: User) -> None:
    """Else the test above would pass where nothing can be asked at all."""
    row = row_of(browser(admin)).pk
    assert spelled(viewer, USERS, admin.pk, "username__startswith", "{}", "admin") == "admi"
    assert spelled(viewer, SIGNED_IN, row, "engine__startswith", "{}", "dbx") == "db"


@on("db")
def test_nor_by_comparing_it_whole(profile: str, viewer: Client, admin: User) -> None:
    theirs = browser(admin)
    row = row_of(theirs)
    for name, value in (
        ("session_key", key_of(theirs)),
        ("session_key__in", key_of(theirs)),
        ("sealed_key", row.sealed_key),
        ("auth_hash", row.auth_hash),
        ("auth_hash__gt", ""),
        ("sealed_key__length", "112"),
    ):
        assert viewer.get(SIGNED_IN, {name: value}).status_code == 400


def names_of(model: type[Model], depth: int) -> Iterator[str]:
    """Every path of fields from that model, through what is related to it in either direction."""
    for field in model._meta.get_fields():
        yield field.name
        if depth and isinstance(field.related_model, type):
            for name in names_of(field.related_model, depth - 1):
                yield f"{field.name}__{name}"


@pytest.mark.parametrize("model", ADMINS, ids=lambda model: model.__name__)
def test_nothing_but_what_is_listed_may_be_asked(model: type[Model]) -> None:
    """Of all the columns that there are, however they are called and reached."""
    found = ADMINS[model]
    allowed = {
        field_path(model, name)
        for name in (*names_of(model, 3), "pk", "user_id")
        for lookup in ("", "__startswith", "__regex", "__gt", "__in", "__exact")
        if found.lookup_allowed(f"{name}{lookup}", "x", None)
    }
    assert allowed == set(found.allowed_lookups)
    secret = {"password", "session_hashes", "sealed_key", "auth_hash", "sign_outs"}
    assert not secret & {part for name in allowed for part in name.split("__")}


def test_what_the_pages_themselves_link_to_is_allowed(viewer: Client, admin: User) -> None:
    Group.objects.create(name="all")
    for path in (USERS, SIGNED_IN, GROUPS):
        page = viewer.get(path).content.decode()
        for query in {part.split('"')[0] for part in page.split('href="?')[1:]}:
            asked = viewer.get(f"{path}?{query.replace('&amp;', '&')}", follow=True)
            assert asked.status_code == 200
            assert not asked.redirect_chain


@on("db")
def test_no_order_of_a_list_follows_a_secret(profile: str, viewer: Client, admin: User) -> None:
    browser(admin)
    for path in (USERS, SIGNED_IN, GROUPS):
        with CaptureQueriesContext(connection) as captured:
            for number in range(-12, 12):
                assert viewer.get(path, {"o": str(number)}).status_code == 200
        orders = {query["sql"].partition("ORDER BY")[2] for query in captured}
        hidden = ("password", "session", "hash", "sign_outs")
        columns = [order for order in orders if "django_session" not in order]
        assert not [order for order in columns for name in hidden if f'"{name}' in order]


@on("db")
@pytest.mark.parametrize("field", ["password", "session_hashes", "sealed_key", "session_key"])
def test_no_page_takes_a_secret_for_a_key(
    field: str, profile: str, viewer: Client, admin: User
) -> None:
    row = row_of(browser(admin))
    for path in (USERS, f"{USERS}{admin.pk}/change/", SIGNED_IN, f"{SIGNED_IN}{row.pk}/change/"):
        assert viewer.get(path, {"_to_field": field}).status_code == 400


def test_nothing_is_completed_or_searched_by_a_secret(
    viewer: Client, admin: User, rf: RequestFactory
) -> None:
    for app, name, field in (
        ("cookieproj_devices", "signedinsession", "user"),
        ("demo", "user", "signed_in_sessions"),
    ):
        query = {"app_label": app, "model_name": name, "field_name": field, "term": "a"}
        assert viewer.get("/admin/autocomplete/", query).status_code == 404
    for model, found in ADMINS.items():
        searched = {field_path(model, name) for name in found.get_search_fields(rf.get("/"))}
        assert searched <= {*found.allowed_lookups, "user__username"}


def test_the_index_of_signed_in_sessions_has_no_column_for_a_key_in_clear() -> None:
    assert "session_key" not in {field.name for field in SignedInSession._meta.get_fields()}


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        (USERS, "first_name__range", "x"),
        (SIGNED_IN, "user__gte", "9" * 30),
        (USERS, "id__in", "9" * 30),
    ],
)
def test_what_no_column_can_be_compared_with(
    path: str, name: str, value: str, viewer: Client
) -> None:
    response = viewer.get(path, {name: value}, follow=True)
    assert response.redirect_chain == [(f"{path}?e=1", 302)]
    assert response.status_code == 200
