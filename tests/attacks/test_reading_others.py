"""Somebody who is signed in, or staff of little rank, looks for another's session."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from pytest_django import Settings

from cookieproj.devices.models import SignedInSession
from cookieproj.engines import inspector
from demo.models import User
from tests.browsers import browser, is_in, key_of, row_of
from tests.conftest import on

from .addresses import addresses
from .conftest import Judged, Some

STORED = "/admin/cookieproj_engines/storedsession/"
THEIRS = "what a superuser keeps"
HERS = "what ada keeps"


def keeper(user: User, value: str) -> Client:
    client = browser(user)
    client.post("/sessions/set-item/", {"value": value})
    return client


def passwords(client: Client, user: User) -> set[str]:
    """What makes whoever knows it that user."""
    whole = key_of(client)
    return {whole, whole.rpartition(":")[2], user.get_session_auth_hash(), user.password}


def looks(owner: User, key: str) -> Iterator[tuple[str, str]]:
    """Every page, and every form of the admin, with that user's and that session's names in it."""
    for path in addresses(owner, key):
        if path.startswith(("/in-path/", "/engines/")):
            continue
        yield path, "get"
        yield path, "head"
        if path.startswith("/admin/") and path != "/admin/logout/":
            yield path, "post"


def is_likely(path: str, method: str, permitted: Sequence[Permission] = ()) -> bool:
    """What shows sessions to whoever may see them, which is tried in a hurry too."""
    may_view = {"view_storedsession", "view_signedinsession"} & {
        permission.codename for permission in permitted
    }
    own = () if permitted else ("/devices/", "/session/")
    places = ("/admin/cookieproj_",) if may_view else own
    return method == "get" and path.startswith(places)


def said(client: Client, path: str, method: str) -> str:
    answer: Any = getattr(client, method)(path, {"start": ""} if method == "get" else {})
    # A browser is told its own key in Set-Cookie, and nobody else is.
    return f"{answer.headers}{answer.content.decode()}"


def test_no_permission_shows_a_key_or_a_superusers_data(
    profile: str, admin: User, ada: User, some: Some, judged: Judged
) -> None:
    """One by one, and all of them."""
    superuser, hers = keeper(admin, THEIRS), keeper(ada, HERS)
    key = key_of(superuser)
    secrets = passwords(superuser, admin) | passwords(hers, ada) | {THEIRS}
    staff = User.objects.create_user("staff", password="cookies", is_staff=True)
    client = browser(staff)
    secrets |= passwords(client, staff)
    permissions = Permission.objects.filter(content_type__app_label__in=["demo", "admin", "auth"])
    held = [[], *([permission] for permission in permissions), list(permissions)]
    owners = [(admin, key), (ada, key_of(hers))]
    visits = [
        (permitted, path, method)
        for permitted, (owner, name) in product(held, owners)
        for path, method in looks(owner, name)
        if path.startswith(("/admin/", "/devices/", "/session/", "/switch/"))
    ]
    tries = [visit for visit in visits if is_likely(visit[1], visit[2], visit[0])]
    tries += some(visits, 67)
    lost: list[Any] = []
    may: list[Permission] = []
    for permitted, path, method in tries:
        if permitted != may:
            staff.user_permissions.set(permitted)
            may = permitted
        page = said(client, path, method)
        names = {permission.codename for permission in permitted}
        found = {secret for secret in secrets if secret and secret in page}
        may_see = "view_storedsession" in names
        found |= {HERS} if HERS in page and not may_see else set()
        lost += [(path, method, names)] if found else []
    assert is_in(client)
    log = str(list(LogEntry.objects.values()))
    lost += [secret for secret in secrets if secret in log]
    judged("A page of the admin gives a session away", tries, lost)


# Where a secret lies, as seen from each list of the admin; of before the index was sealed too.
HIDDEN = [
    *(("signedinsession", name) for name in ("session_key", "sealed_key", "auth_hash")),
    *(("signedinsession", f"user__{name}") for name in ("password", "session_hashes")),
    *(("user", name) for name in ("password", "session_hashes")),
    *(("user", f"signed_in_sessions__{name}") for name in ("session_key", "sealed_key")),
]

LISTS = {
    "signedinsession": "/admin/cookieproj_devices/signedinsession/",
    "user": "/admin/demo/user/",
}


def test_no_list_tells_of_what_it_does_not_show(
    profile: str, admin: User, some: Some, judged: Judged
) -> None:
    """Asked for what is right, and for what is wrong: whose answers differ, spells it out."""
    theirs = keeper(admin, THEIRS)
    row = row_of(theirs)
    User.objects.filter(pk=admin.pk).update(session_hashes="of-before")
    staff = User.objects.create_user("staff", password="cookies", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = browser(staff)
    whole = {
        "session_key": key_of(theirs),
        "sealed_key": row.sealed_key or "x",
        "auth_hash": row.auth_hash,
        "password": User.objects.get(pk=admin.pk).password,
        "session_hashes": "of-before",
    }
    ids = {"signedinsession": row.pk, "user": admin.pk}
    tries = [
        (LISTS[name], ids[name], f"{path}__{lookup}", whole[path.split("__")[-1]])
        for name, path in HIDDEN
        for lookup in ("startswith", "exact", "regex", "in", "gte", "contains", "endswith")
    ]

    def shows(path: str, row: Any, lookup: str, value: str) -> bool:
        answer = client.get(path, {"id": str(row), lookup: value})
        return answer.status_code == 200 and f"{path}{row}/change/" in answer.content.decode()

    assert all(shows(LISTS[name], pk, "id__exact", str(pk)) for name, pk in ids.items())
    tries = some(tries)
    lost = [each for each in tries if shows(*each) != shows(*each[:3], "~")]
    judged("A page of the admin gives a session away", tries, lost)


def test_nobody_finds_another_users_session(
    profile: str, admin: User, ada: User, some: Some, judged: Judged
) -> None:
    """A user who is no staff, at every address with another's names in it."""
    superuser, hers = keeper(admin, THEIRS), keeper(ada, HERS)
    client = browser(User.objects.create_user("grace", password="cookies"))
    secrets = passwords(superuser, admin) | passwords(hers, ada) | {THEIRS, HERS}
    rows = {str(row_of(browser).pk) for browser in (superuser, hers)}
    owners = [(admin, key_of(superuser)), (ada, key_of(hers))]
    visits = [visit for owner, key in owners for visit in looks(owner, key)]
    tries = [visit for visit in visits if is_likely(*visit)] + some(visits, 11)
    lost: list[Any] = []
    for path, method in tries:
        page = said(client, path, method).replace(path, "")
        lost += [(path, method)] if any(secret in page for secret in secrets | rows) else []
    lost += [browser for browser in (client, superuser, hers) if not is_in(browser)]
    judged("A user finds another's session", tries, lost)


def test_another_users_device_is_not_signed_out(
    profile: str, admin: User, ada: User, some: Some, judged: Judged
) -> None:
    theirs, client = browser(admin), browser(ada)
    row: UUID = row_of(theirs).pk
    spelled = [row, str(row).upper(), row.hex, f"{{{row}}}", f"{row_of(client).pk}/../{row}",
               f"urn:uuid:{row}", f"{row}%00", f"{row},{row}", row.int, uuid4()]  # fmt: skip
    tries = [
        (f"/devices/{name}/sign-out/{query}", form)
        for name in spelled
        for query, form in (("", {}), (f"?pk={row}&user={ada.pk}", {}), ("", {"pk": str(row)}))
    ]
    tries, lost = some(tries), []
    for path, form in tries:
        answer = client.post(path, form, follow=True)
        # As for an id that nobody has, or for what is no id.
        is_told = answer.status_code == 404 or "That device is already signed out." in answer.text
        lost += [] if is_told and is_in(theirs) and is_in(client) else [path]
    assert SignedInSession.objects.count() == 2
    judged("A device of another user is signed out", tries, lost)


@on("db", "cache", "file", "cached_db")
def test_a_sealed_name_is_this_sites_and_this_engines(
    profile: str, admin: User, ada: User, settings: Settings, some: Some, judged: Judged
) -> None:
    """Made with another key or for another engine, cut, changed, for another purpose, ended."""
    client, hers, ended = browser(admin), keeper(ada, HERS), keeper(ada, HERS)
    key, over = key_of(hers), key_of(ended)
    ended.post("/auth/sign-out/")
    name = inspector.encrypt(key, inspector.KEY)
    assert HERS in client.get(f"{STORED}{name}/change/").content.decode()
    with mock.patch.object(settings, "SECRET_KEY", "another site's"):
        tries = [inspector.encrypt(key, inspector.KEY)]
    with mock.patch("cookieproj.engines.running_engine.name", return_value="another"):
        tries.append(inspector.encrypt(key, inspector.KEY))
    tries += [inspector.encrypt(key, inspector.POSITION), inspector.encrypt(over, inspector.KEY)]
    tries += [
        inspector.encrypt(text, inspector.KEY) for text in ("", "../x", "\0", "x" * 99, f"{key} ")
    ]
    tries += [key, over, key.encode().hex(), name[:-2], name[2:], name + "00", name * 2, "00" * 48]
    for place in some(range(0, len(name), 2), 5):
        other = f"{int(name[place : place + 2], 16) ^ 1:02x}"
        tries.append(name[:place] + other + name[place + 2 :])
    lost: list[Any] = []
    for tried in tries:
        for answer in (
            client.get(f"{STORED}{tried}/change/"),
            client.get(f"{STORED}{tried}/history/"),
            client.post(f"{STORED}{tried}/delete/", {"post": "yes"}),
        ):
            is_right = answer.status_code == 302 and key not in str(answer.headers)
            lost += [] if is_right or key in tried else [(tried, answer.status_code)]
    lost += [] if is_in(hers) else ["ended"]
    judged("A sealed name that is none", tries, lost)


def test_the_page_of_ones_session_is_of_that_alone(
    profile: str, admin: User, ada: User, settings: Settings, some: Some, judged: Judged
) -> None:
    """It shows a key on request, where DEBUG is on: never one of another session."""
    settings.DEBUG = True
    theirs, client = keeper(admin, THEIRS), browser(ada)
    row, key = row_of(theirs), key_of(theirs)
    tries = [
        f"/session/{whole}&{name}={value}"
        for whole in ("?", "?whole")
        for name in ("key", "session_key", "sessionid", "user", "pk", "id")
        for value in (key, row.pk)
    ]
    secrets = (THEIRS, admin.get_session_auth_hash())
    tries = some(tries)
    lost = [path for path in tries if any(s in client.get(path).content.decode() for s in secrets)]
    judged("A user finds another's session", tries, lost)
