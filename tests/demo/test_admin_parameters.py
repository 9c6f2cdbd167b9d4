"""Every address of the admin with every parameter: what is wrong with it is told, never a 500."""

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

# As each stands in an address: no text, no number, too large, too long, half a character.
WRONG = [
    *("", "x", "-1", "1.5", "1e400", "nan", "None", "[", "(", "a,b", "2026-13-45", "%CE%BB", "%00"),
    *("%ED%A0%80", "9" * 19, "9" * 30, "9" * 5000, "99999-01-01", "9999-12-31", "0001-01-01"),
    *("%25", "_5F", "x" * 3000, "127.0.0.1/8", "00000000-0000-0000-0000-000000000000", "%2e%2e%2f"),
]
LONG = ["x" * 60_000, "+x" * 2000]

# What lists and pages look for besides the fields of their models.
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

# A method, a path and what is sent with it.
Try = tuple[str, str, str]


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, settings: Settings, db: None) -> Iterator[None]:
    """Each refuses what the other takes."""
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
    """One who sends whatever there is to send, and notes what is answered with a fault."""

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
        """Some of them, or all with --long: none is answered by a fault, or tells a secret."""
        faults: list[Any] = []
        some = tries[:: self.every]
        assert len(some) > 5
        for each in some:
            response = self.send(*each)
            page = f"{response.content.decode()}{response.headers}"
            told = [secret for secret in self.secrets if secret in page]
            if response.status_code >= 500 or told:
                faults.append((response.status_code, told, *(part[:200] for part in each)))
            if self.user and "sessionid" in response.cookies:
                self.sign_in()
        assert not faults, (len(faults), len(some), faults[:50])


ROLES: dict[str, Any] = {
    "a superuser": ("root", {"is_staff": True, "is_superuser": True}, ""),
    "staff who may see all": ("staff", {"is_staff": True}, "view_"),
    "staff who may do nothing": ("staff", {"is_staff": True}, "none"),
    "nobody": None,
}


def every(config: pytest.Config) -> int:
    """Of so many one is tried: of all with --long, of half as many in the fast tier."""
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
    found = Walker(user, every=every(pytestconfig))
    boss = User.objects.create_superuser("boss", password="cookies", first_name="Grace")
    boss.groups.set([Group.objects.create(name="all")])
    User.objects.filter(pk=boss.pk).update(session_hashes="a-hash-of-before")
    owner = Client()
    owner.force_login(boss)
    row = row_of(owner)
    hashes = {boss.get_session_auth_hash(), row.auth_hash, "a-hash-of-before", boss.password}
    found.secrets = {key_of(owner), row.sealed_key, *hashes}
    return found


def objects() -> dict[str, str]:
    """By the beginning of a path: the name of one that is there."""
    row = SignedInSession.objects.get(user__username="boss")
    return {
        "/admin/auth/group": str(Group.objects.get(name="all").pk),
        "/admin/demo/user": str(row.user_id),
        "/admin/cookieproj_devices/signedinsession": str(row.pk),
        "/admin/cookieproj_engines/storedsession": inspector.encrypt(
            row.session_key, inspector.KEY
        ),
    }


def filled(value: Callable[[str], str]) -> Iterator[str]:
    """Each address of the admin, with what that gives for a path in the place of an object."""
    for route in routes():
        if route.startswith("admin/") and route != "admin/logout/":
            path = "/" + APPS.sub("cookieproj_devices/", route)
            path = path.replace("(?P<url>.*)$", value("/") + "/")
            # A backslash in it would be an escape.
            yield PARAMETER.sub(value(path).replace("\\", r"\\"), path)


def wrong_part(wrong: str, _path: str) -> str:
    return quote(wrong, safe="%+")


def right_paths() -> list[str]:
    known = objects()
    return list(filled(lambda path: known.get("/".join(path.split("/")[:4]), "1")))


def test_whatever_stands_in_an_address(walker: Walker) -> None:
    walker.walk(
        [
            (method, path, "post=yes")
            for wrong in [*WRONG, *LONG]
            for path in filled(partial(wrong_part, wrong))
            for method in ("GET", "POST")
        ]
    )


def test_whatever_a_page_is_asked_for(walker: Walker) -> None:
    walker.walk(
        [
            ("GET", path, f"{name}={wrong}")
            for path in right_paths()
            for name in PARAMETERS
            for wrong in WRONG
        ]
    )


def test_what_is_longer_than_a_database_takes(walker: Walker) -> None:
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


def names_of(model: type[models.Model], depth: int = 1) -> Iterator[str]:
    for field in model._meta.get_fields():
        yield field.name
        if depth and isinstance(field.related_model, type):
            for name in names_of(field.related_model, depth - 1):
                yield f"{field.name}__{name}"


@pytest.mark.parametrize("path", LISTS)
def test_whatever_a_list_is_filtered_by(path: str, walker: Walker) -> None:
    """Each column there is by each lookup there is; those that are allowed with each value."""
    model = apps.get_model(".".join(path.split("/")[2:4]))
    found = site.get_model_admin(model)
    asked = [
        f"{name}__{lookup}".removesuffix("__")
        for name in (*names_of(model), "pk", "nothing")
        for lookup in LOOKUPS
    ]
    allowed = {name for name in asked if found.lookup_allowed(name, "", None)}  # type: ignore[arg-type]
    assert len(allowed) > 20
    tries = [
        ("GET", path, f"{name}={wrong}")
        for name in asked
        for wrong in (WRONG if name in allowed else ["x"])
    ]
    walker.walk(tries)


def names_in_form(path: str) -> list[str]:
    client = Client()
    client.force_login(User.objects.get(username="boss"))
    page = client.get(path).content.decode()
    return sorted({*re.findall(r'name="([\w-]+)"', page), *PARAMETERS})


def test_whatever_a_form_is_sent(walker: Walker) -> None:
    tries: list[Try] = []
    for path in right_paths():
        for name in names_in_form(path):
            for wrong in WRONG:
                # Whatever is in the form for it, deletes.
                deletes = path.endswith("/delete/")
                query, form = (f"?{name}={wrong}", "") if deletes else ("", f"{name}={wrong}")
                tries.append(("POST", f"{path}{query}", form))
    walker.walk(tries)


def test_whatever_is_selected(walker: Walker) -> None:
    """By primary keys that are none."""
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
def test_nothing_that_is_selected_wrong_is_changed(path: str, walker: Walker) -> None:
    there = [model.objects.count() for model in (User, Group, SignedInSession)]
    for action in ("delete_selected", "sign_out", "sign_out_users"):
        for wrong in WRONG:
            form = f"action={action}&post=yes&_selected_action={wrong}"
            assert walker.send("POST", path, form).status_code in {200, 302, 403}
    assert [model.objects.count() for model in (User, Group, SignedInSession)] == there


def test_one_that_is_none_among_the_selected_leaves_the_others(database: None) -> None:
    walker = Walker(User.objects.create_superuser("root", password="cookies"))
    gone = User.objects.create_user("gone", password="cookies")
    form = f"action=delete_selected&post=yes&_selected_action=x&_selected_action={gone.pk}"
    assert walker.send("POST", "/admin/demo/user/", form).status_code == 302
    assert not User.objects.filter(pk=gone.pk).exists()


def test_no_object_is_pointed_to(walker: Walker) -> None:
    """Not by whoever it is: no model of this site has a page of its own."""
    kinds = [
        str(kind.pk) for kind in ContentType.objects.get_for_models(*apps.get_models()).values()
    ]
    for kind in (*kinds, "x", "%00"):
        for wrong in ("x", "%00", "9" * 30, *objects().values()):
            response = walker.send("GET", f"/admin/r/{kind}/{wrong}/", "")
            assert response.status_code == (404 if walker.user else 302)
