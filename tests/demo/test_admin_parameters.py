"""Wrong values for every URL and parameter of the admin cause no 500 and reveal no secret."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
from django.apps import apps
from django.contrib.admin import site
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.test import Client
from pytest_django import Settings

from cookieproj.devices.models import SignedInSession
from cookieproj.engines import inspector
from demo.models import User
from tests.attacks.addresses import APPS, PARAMETER, routes
from tests.browsers import key_of, row_of
from tests.conftest import connected, new_database
from tests.sites import manage
from tests.tiers import is_fast

FORM = "application/x-www-form-urlencoded"

# As written in a URL: empty, not a number, too large, too long, half a character.
WRONG = [
    *("", "x", "-1", "1.5", "1e400", "nan", "None", "[", "(", "a,b", "2026-13-45", "%CE%BB", "%00"),
    *("%ED%A0%80", "9" * 19, "9" * 30, "9" * 5000, "99999-01-01", "9999-12-31", "0001-01-01"),
    *("%25", "_5F", "x" * 3000, "127.0.0.1/8", "00000000-0000-0000-0000-000000000000", "%2e%2e%2f"),
]
LONG = ["x" * 60_000, "+x" * 2000]

# Parameters that lists and pages read, besides the fields of their models.
PARAMETERS = [
    *("q", "p", "o", "e", "all", "start", "next", "_facets", "_popup", "_to_field", "engine"),
    *("_changelist_filters", "_source_model", "_saveasnew", "_continue", "_addanother", "index"),
    *("action", "select_across", "_selected_action", "app_label", "model_name", "field_name"),
    *("term", "system", "usable_password", "password1", "password2", "old_password", "post"),
    *("username", "password", "new_password1", "new_password2", "signed_in_at__gte", "language"),
]
FIELDS: Any = (models.CharField, models.DateTimeField, models.ForeignKey, models.UUIDField)
LOOKUPS = sorted({"", "year__gt", "date__in", *(name for f in FIELDS for name in f.get_lookups())})
ACTIONS = ["delete_selected", "sign_out", "sign_out_users", "", "x", "%00", "9" * 30]
LISTS = [
    f"/admin/{name}/" for name in ("auth/group", "demo/user", "cookieproj_devices/signedinsession")
]

# A method, a path and the data.
Try = tuple[str, str, str]


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, settings: Settings, db: None) -> Iterator[None]:
    """Each database accepts values that the other refuses."""
    settings.SESSION_ENGINE = "cookieproj.engines.db"
    if request.param == "sqlite":
        yield
        return
    with connected(request.getfixturevalue("walked_url")):
        yield
        User.objects.all().delete()
        Group.objects.all().delete()


@pytest.fixture(scope="module")
def walked_url(postgresql_url: str) -> str:
    url = new_database(postgresql_url, "walked")
    assert manage("migrate", "--verbosity=0", DATABASE_URL=url).returncode == 0
    return url


class Walker:
    """A client that fails the test for a response with a server error or a secret."""

    def __init__(self, user: User | None, *, every: int = 1) -> None:
        self.user = user
        self.every = every
        self.client = Client(raise_request_exception=False)
        self.secrets: set[str] = set()
        self.sign_in()

    def sign_in(self) -> None:
        if self.user:
            self.client.force_login(self.user)

    def send(self, method: str, path: str, data: str) -> Any:
        if method == "GET":
            return self.client.get(f"{path}?{data}")
        return self.client.post(path, data, content_type=FORM)

    def walk(self, tries: list[Try]) -> None:
        """Send every n-th request, and check that no response is an error or shows a secret."""
        faults: list[Any] = []
        sample = tries[:: self.every]
        assert len(sample) > 5
        for attempt in sample:
            response = self.send(*attempt)
            page = f"{response.content.decode()}{response.headers}"
            shown = [secret for secret in self.secrets if secret in page]
            if response.status_code >= 500 or shown:
                faults.append((response.status_code, shown, *(part[:200] for part in attempt)))
            if self.user and "sessionid" in response.cookies:
                self.sign_in()
        assert not faults, (len(faults), len(sample), faults[:50])


ROLES: dict[str, Any] = {
    "superuser": ("root", {"is_staff": True, "is_superuser": True}, ""),
    "staff with view permissions": ("staff", {"is_staff": True}, "view_"),
    "staff without permissions": ("staff", {"is_staff": True}, "none"),
    "anonymous": None,
}


def every(config: pytest.Config) -> int:
    """Return n to try every n-th: 1 with --long, about twice as large in the fast tier."""
    if config.getoption("--long"):
        return 1
    return 211 if is_fast(config) else 101


@pytest.fixture(params=ROLES)
def walker(request: pytest.FixtureRequest, database: None, pytestconfig: pytest.Config) -> Walker:
    user = None
    if role := ROLES[request.param]:
        name, flags, prefix = role
        user = User.objects.create_user(name, password="cookies", **flags)
        user.user_permissions.set(Permission.objects.filter(codename__startswith=prefix))
    walker = Walker(user, every=every(pytestconfig))
    boss = User.objects.create_superuser("boss", password="cookies", first_name="Grace")
    boss.groups.set([Group.objects.create(name="all")])
    User.objects.filter(pk=boss.pk).update(session_hashes="previous-hash")
    owner = Client()
    owner.force_login(boss)
    row = row_of(owner)
    hashes = {boss.get_session_auth_hash(), row.auth_hash, "previous-hash", boss.password}
    walker.secrets = {key_of(owner), row.sealed_key, *hashes}
    return walker


def objects() -> dict[str, str]:
    """Return the primary key of an existing object for the beginning of its path."""
    row = SignedInSession.objects.get(user__username="boss")
    return {
        "/admin/auth/group": str(Group.objects.get(name="all").pk),
        "/admin/demo/user": str(row.user_id),
        "/admin/cookieproj_devices/signedinsession": str(row.pk),
        "/admin/cookieproj_engines/storedsession": inspector.encrypt(
            row.session_key, inspector.KEY
        ),
    }


def admin_paths(value: Callable[[str], str]) -> Iterator[str]:
    """Yield each path of the admin with ``value(path)`` in the place of its parameters."""
    for route in routes():
        if route.startswith("admin/") and route != "admin/logout/":
            path = "/" + APPS.sub("cookieproj_devices/", route)
            path = path.replace("(?P<url>.*)$", value("/") + "/")
            # A backslash would be an escape in the replacement.
            yield PARAMETER.sub(value(path).replace("\\", r"\\"), path)


def quoted_value(wrong: str, _path: str) -> str:
    return quote(wrong, safe="%+")


def existing_paths() -> list[str]:
    pks = objects()
    return list(admin_paths(lambda path: pks.get("/".join(path.split("/")[:4]), "1")))


def test_wrong_values_in_paths(walker: Walker) -> None:
    walker.walk(
        [
            (method, path, "post=yes")
            for wrong in [*WRONG, *LONG]
            for path in admin_paths(partial(quoted_value, wrong))
            for method in ("GET", "POST")
        ]
    )


def test_wrong_query_parameters(walker: Walker) -> None:
    walker.walk(
        [
            ("GET", path, f"{name}={wrong}")
            for path in existing_paths()
            for name in PARAMETERS
            for wrong in WRONG
        ]
    )


def test_values_longer_than_databases_accept(walker: Walker) -> None:
    walker.every = 1
    lists = [*LISTS, "/admin/cookieproj_engines/storedsession/", "/admin/autocomplete/"]
    fixed = "app_label=cookieproj_devices&model_name=signedinsession&field_name=user"
    walker.walk(
        [
            ("GET", path, f"{name}={wrong}&{fixed}" if name == "term" else f"{name}={wrong}")
            for path in lists
            for name in ("q", "term", "o", "p", "id__in", "name", "username", "address")
            for wrong in LONG
        ]
    )


def field_paths(model: type[models.Model], depth: int = 1) -> Iterator[str]:
    for field in model._meta.get_fields():
        yield field.name
        if depth and isinstance(field.related_model, type):
            for name in field_paths(field.related_model, depth - 1):
                yield f"{field.name}__{name}"


@pytest.mark.parametrize("path", LISTS)
def test_wrong_filters_of_lists(path: str, walker: Walker) -> None:
    """Tries every column with every lookup, and the allowed ones with every wrong value."""
    model = apps.get_model(".".join(path.split("/")[2:4]))
    model_admin = site.get_model_admin(model)
    lookups = [
        f"{name}__{lookup}".removesuffix("__")
        for name in (*field_paths(model), "pk", "nothing")
        for lookup in LOOKUPS
    ]
    allowed = {name for name in lookups if model_admin.lookup_allowed(name, "", None)}  # type: ignore[arg-type]
    assert len(allowed) > 20
    tries = [
        ("GET", path, f"{name}={wrong}")
        for name in lookups
        for wrong in (WRONG if name in allowed else ["x"])
    ]
    walker.walk(tries)


def names_in_form(path: str) -> list[str]:
    client = Client()
    client.force_login(User.objects.get(username="boss"))
    page = client.get(path).content.decode()
    return sorted({*re.findall(r'name="([\w-]+)"', page), *PARAMETERS})


def test_wrong_form_fields(walker: Walker) -> None:
    tries: list[Try] = []
    for path in existing_paths():
        for name in names_in_form(path):
            for wrong in WRONG:
                # Any form sent here deletes the object.
                deletes = path.endswith("/delete/")
                query, form = (f"?{name}={wrong}", "") if deletes else ("", f"{name}={wrong}")
                tries.append(("POST", f"{path}{query}", form))
    walker.walk(tries)


def test_wrong_selections(walker: Walker) -> None:
    """Tries invalid primary keys, indexes and actions."""
    tries: list[Try] = []
    for path in [*LISTS, "/admin/cookieproj_engines/storedsession/"]:
        for action in ACTIONS:
            for wrong in WRONG:
                form = f"action={action}&_selected_action={wrong}"
                tries += [
                    ("POST", path, form),
                    ("POST", path, f"{form}&post=yes&_selected_action=x"),
                    ("POST", path, f"{form}&index={wrong}"),
                    ("POST", path, f"action={action}&index={wrong}&action={wrong}"),
                    ("POST", path, f"{form}&select_across={wrong}"),
                ]
    walker.walk(tries)


@pytest.mark.parametrize("path", LISTS)
def test_wrong_selections_change_nothing(path: str, walker: Walker) -> None:
    counts = [model.objects.count() for model in (User, Group, SignedInSession)]
    for action in ("delete_selected", "sign_out", "sign_out_users"):
        for wrong in WRONG:
            form = f"action={action}&post=yes&_selected_action={wrong}"
            assert walker.send("POST", path, form).status_code in {200, 302, 403}
    assert [model.objects.count() for model in (User, Group, SignedInSession)] == counts


def test_invalid_primary_key_does_not_stop_action_on_valid_one(database: None) -> None:
    walker = Walker(User.objects.create_superuser("root", password="cookies"))
    selected = User.objects.create_user("selected", password="cookies")
    form = f"action=delete_selected&post=yes&_selected_action=x&_selected_action={selected.pk}"
    assert walker.send("POST", "/admin/demo/user/", form).status_code == 302
    assert not User.objects.filter(pk=selected.pk).exists()


def test_view_on_site_leads_to_no_object(walker: Walker) -> None:
    """No model of this site has a page of its own."""
    content_types = [
        str(content_type.pk)
        for content_type in ContentType.objects.get_for_models(*apps.get_models()).values()
    ]
    for content_type in (*content_types, "x", "%00"):
        for wrong in ("x", "%00", "9" * 30, *objects().values()):
            response = walker.send("GET", f"/admin/r/{content_type}/{wrong}/", "")
            assert response.status_code == (404 if walker.user else 302)
