"""Filters, searches and sorting in the admin reveal no secret that its pages hide."""

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
# A filter that reveals this many characters of a secret can reveal all of it.
PREFIX_LENGTH = 4

ADMINS: dict[type[Model], Any] = {
    model: model_admin for model, model_admin in site.site._registry.items() if model._meta.managed
}


@pytest.fixture
def viewer(db: None) -> Client:
    """Staff who may see everything, and change nothing."""
    user = User.objects.create_user("viewer", password="cookies", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return browser(user)


def is_listed(client: Client, path: str, **query: str) -> bool:
    """Whether the filters are accepted and a row matches them."""
    response = client.get(path, query)
    return response.status_code == 200 and '<th class="field-' in response.content.decode()


def guessed(client: Client, path: str, row: object, name: str, pattern: str, secret: str) -> str:
    """Return the prefix of the secret that can be guessed by filtering for it.

    The guess grows by a character as long as the row is listed.
    """
    for length in range(1, PREFIX_LENGTH + 1):
        guess = pattern.format(re.escape(secret[:length]) if "^" in pattern else secret[:length])
        if not is_listed(client, path, id=str(row), **{name: guess}):
            return secret[: length - 1]
    return secret[:PREFIX_LENGTH]


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
@pytest.mark.parametrize(("lookup", "pattern"), [("startswith", "{}"), ("regex", "^{}")])
def test_filters_reveal_no_prefix_of_secret(
    path: str, column: str, lookup: str, pattern: str, profile: str, viewer: Client, admin: User
) -> None:
    admin_browser = browser(admin)
    User.objects.filter(pk=admin.pk).update(session_hashes="secret")
    group = Group.objects.create(name="all")
    admin.groups.set([group])
    signed_in = row_of(admin_browser)
    row = {USERS: admin.pk, GROUPS: group.pk, SIGNED_IN: signed_in.pk}[path]
    secrets = {
        "session_key": key_of(admin_browser),
        "sealed_key": signed_in.sealed_key or "",
        "auth_hash": signed_in.auth_hash,
        "password": admin.password,
        "session_hashes": "secret",
    }
    secret = secrets[column.rsplit("__", maxsplit=1)[-1]]
    assert len(secret) >= PREFIX_LENGTH
    assert is_listed(viewer, path, id=str(row))
    assert guessed(viewer, path, row, f"{column}__{lookup}", pattern, secret) == ""


@on("db")
def test_filters_by_shown_columns_work(profile: str, viewer: Client, admin: User) -> None:
    """Otherwise the test above would pass if no filter worked."""
    row = row_of(browser(admin)).pk
    assert guessed(viewer, USERS, admin.pk, "username__startswith", "{}", "admin") == "admi"
    assert guessed(viewer, SIGNED_IN, row, "engine__startswith", "{}", "dbx") == "db"


@on("db")
def test_filter_by_whole_secret_is_refused(profile: str, viewer: Client, admin: User) -> None:
    admin_browser = browser(admin)
    row = row_of(admin_browser)
    for name, value in (
        ("session_key", key_of(admin_browser)),
        ("session_key__in", key_of(admin_browser)),
        ("sealed_key", row.sealed_key),
        ("auth_hash", row.auth_hash),
        ("auth_hash__gt", ""),
        ("sealed_key__length", "112"),
    ):
        assert viewer.get(SIGNED_IN, {name: value}).status_code == 400


def field_paths(model: type[Model], depth: int) -> Iterator[str]:
    """Yield every path of fields from the model, through relations in both directions."""
    for field in model._meta.get_fields():
        yield field.name
        if depth and isinstance(field.related_model, type):
            for name in field_paths(field.related_model, depth - 1):
                yield f"{field.name}__{name}"


@pytest.mark.parametrize("model", ADMINS, ids=lambda model: model.__name__)
def test_only_listed_lookups_are_allowed(model: type[Model]) -> None:
    """Tries every column that a path of fields leads to, under every name."""
    model_admin = ADMINS[model]
    allowed = {
        field_path(model, name)
        for name in (*field_paths(model, 3), "pk", "user_id")
        for lookup in ("", "__startswith", "__regex", "__gt", "__in", "__exact")
        if model_admin.lookup_allowed(f"{name}{lookup}", "x", None)
    }
    assert allowed == set(model_admin.allowed_lookups)
    secret = {"password", "session_hashes", "sealed_key", "auth_hash", "sign_outs"}
    assert not secret & {part for name in allowed for part in name.split("__")}


def test_links_of_lists_are_allowed(viewer: Client, admin: User) -> None:
    Group.objects.create(name="all")
    for path in (USERS, SIGNED_IN, GROUPS):
        page = viewer.get(path).content.decode()
        for query in {part.split('"')[0] for part in page.split('href="?')[1:]}:
            response = viewer.get(f"{path}?{query.replace('&amp;', '&')}", follow=True)
            assert response.status_code == 200
            assert not response.redirect_chain


@on("db")
def test_lists_are_not_sorted_by_secrets(profile: str, viewer: Client, admin: User) -> None:
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
def test_to_field_with_secret_is_refused(
    field: str, profile: str, viewer: Client, admin: User
) -> None:
    row = row_of(browser(admin))
    for path in (USERS, f"{USERS}{admin.pk}/change/", SIGNED_IN, f"{SIGNED_IN}{row.pk}/change/"):
        assert viewer.get(path, {"_to_field": field}).status_code == 400


def test_autocomplete_and_search_use_no_secret(
    viewer: Client, admin: User, rf: RequestFactory
) -> None:
    for app, name, field in (
        ("cookieproj_devices", "signedinsession", "user"),
        ("demo", "user", "signed_in_sessions"),
    ):
        query = {"app_label": app, "model_name": name, "field_name": field, "term": "a"}
        assert viewer.get("/admin/autocomplete/", query).status_code == 404
    for model, model_admin in ADMINS.items():
        searched = {field_path(model, name) for name in model_admin.get_search_fields(rf.get("/"))}
        assert searched <= {*model_admin.allowed_lookups, "user__username"}


def test_registry_has_no_column_for_plain_session_keys() -> None:
    assert "session_key" not in {field.name for field in SignedInSession._meta.get_fields()}


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        (USERS, "first_name__range", "x"),
        (SIGNED_IN, "user__gte", "9" * 30),
        (USERS, "id__in", "9" * 30),
    ],
)
def test_value_of_wrong_type_redirects_to_list(
    path: str, name: str, value: str, viewer: Client
) -> None:
    response = viewer.get(path, {name: value}, follow=True)
    assert response.redirect_chain == [(f"{path}?e=1", 302)]
    assert response.status_code == 200
