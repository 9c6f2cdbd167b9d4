"""A user, or staff with few permissions, looks for the sessions of other users."""

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
from tests.families import SERVER_ENGINES

from .addresses import site_paths
from .conftest import Report, Sample

STORED = "/admin/cookieproj_engines/storedsession/"
SUPERUSERS_DATA = "data of a superuser"
ADAS_DATA = "data of ada"


def client_with_data(user: User, value: str) -> Client:
    client = browser(user)
    client.post("/sessions/set-item/", {"value": value})
    return client


def secrets_of(client: Client, user: User) -> set[str]:
    """Return what would let somebody else act as that user."""
    key = key_of(client)
    return {key, key.rpartition(":")[2], user.get_session_auth_hash(), user.password}


def visits_to(owner: User, key: str) -> Iterator[tuple[str, str]]:
    """Yield a GET of every path, and a POST of the admin's, for that user and session."""
    for path in site_paths(owner, key):
        if path.startswith(("/in-path/", "/engines/")):
            continue
        yield path, "get"
        yield path, "head"
        if path.startswith("/admin/") and path != "/admin/logout/":
            yield path, "post"


def is_likely(path: str, method: str, permitted: Sequence[Permission] = ()) -> bool:
    """Whether the page shows sessions to users who may see them. It is in every sample."""
    may_view = {"view_storedsession", "view_signedinsession"} & {
        permission.codename for permission in permitted
    }
    own_pages = () if permitted else ("/devices/", "/session/")
    prefixes = ("/admin/cookieproj_",) if may_view else own_pages
    return method == "get" and path.startswith(prefixes)


def text_of(client: Client, path: str, method: str) -> str:
    response: Any = getattr(client, method)(path, {"start": ""} if method == "get" else {})
    # Without Set-Cookie, which contains the client's own key.
    return f"{response.headers}{response.getvalue().decode()}"


def test_no_permission_shows_key_or_superusers_data(
    profile: str, admin: User, ada: User, sample: Sample, report: Report
) -> None:
    """Each permission alone, and all together."""
    superuser, adas_browser = (
        client_with_data(admin, SUPERUSERS_DATA),
        client_with_data(ada, ADAS_DATA),
    )
    key = key_of(superuser)
    secrets = secrets_of(superuser, admin) | secrets_of(adas_browser, ada) | {SUPERUSERS_DATA}
    staff = User.objects.create_user("staff", password="cookies", is_staff=True)
    client = browser(staff)
    secrets |= secrets_of(client, staff)
    permissions = Permission.objects.filter(content_type__app_label__in=["demo", "admin", "auth"])
    permission_sets = [[], *([permission] for permission in permissions), list(permissions)]
    owners = [(admin, key), (ada, key_of(adas_browser))]
    visits = [
        (permitted, path, method)
        for permitted, (owner, name) in product(permission_sets, owners)
        for path, method in visits_to(owner, name)
        if path.startswith(("/admin/", "/devices/", "/session/", "/switch/"))
    ]
    tries = [visit for visit in visits if is_likely(visit[1], visit[2], visit[0])]
    tries += sample(visits, 67)
    succeeded: list[Any] = []
    current: list[Permission] = []
    for permitted, path, method in tries:
        if permitted != current:
            staff.user_permissions.set(permitted)
            current = permitted
        page = text_of(client, path, method)
        names = {permission.codename for permission in permitted}
        shown = {secret for secret in secrets if secret and secret in page}
        may_see = "view_storedsession" in names
        shown |= {ADAS_DATA} if ADAS_DATA in page and not may_see else set()
        succeeded += [(path, method, names)] if shown else []
    assert is_in(client)
    log = str(list(LogEntry.objects.values()))
    succeeded += [secret for secret in secrets if secret in log]
    report("A page of the admin reveals a session", tries, succeeded)


# Columns with secrets, by list of the admin; also those of earlier versions.
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


def test_filters_do_not_reveal_hidden_columns(
    profile: str, admin: User, sample: Sample, report: Report
) -> None:
    """If filters by a right and a wrong value gave different lists, they would reveal the value."""
    superuser = client_with_data(admin, SUPERUSERS_DATA)
    row = row_of(superuser)
    User.objects.filter(pk=admin.pk).update(session_hashes="previous-hash")
    staff = User.objects.create_user("staff", password="cookies", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = browser(staff)
    secrets = {
        "session_key": key_of(superuser),
        "sealed_key": row.sealed_key or "x",
        "auth_hash": row.auth_hash,
        "password": User.objects.get(pk=admin.pk).password,
        "session_hashes": "previous-hash",
    }
    ids = {"signedinsession": row.pk, "user": admin.pk}
    tries = [
        (LISTS[name], ids[name], f"{path}__{lookup}", secrets[path.split("__")[-1]])
        for name, path in HIDDEN
        for lookup in ("startswith", "exact", "regex", "in", "gte", "contains", "endswith")
    ]

    def shows(path: str, row: Any, lookup: str, value: str) -> bool:
        response = client.get(path, {"id": str(row), lookup: value})
        return response.status_code == 200 and f"{path}{row}/change/" in response.content.decode()

    assert all(shows(LISTS[name], pk, "id__exact", str(pk)) for name, pk in ids.items())
    tries = sample(tries)
    succeeded = [attempt for attempt in tries if shows(*attempt) != shows(*attempt[:3], "~")]
    report("A page of the admin reveals a session", tries, succeeded)


def test_user_finds_no_session_of_another_user(
    profile: str, admin: User, ada: User, sample: Sample, report: Report
) -> None:
    """A user who is not staff, on every path with values of other users."""
    superuser, adas_browser = (
        client_with_data(admin, SUPERUSERS_DATA),
        client_with_data(ada, ADAS_DATA),
    )
    client = browser(User.objects.create_user("grace", password="cookies"))
    secrets = (
        secrets_of(superuser, admin) | secrets_of(adas_browser, ada) | {SUPERUSERS_DATA, ADAS_DATA}
    )
    rows = {str(row_of(browser).pk) for browser in (superuser, adas_browser)}
    owners = [(admin, key_of(superuser)), (ada, key_of(adas_browser))]
    visits = [visit for owner, key in owners for visit in visits_to(owner, key)]
    tries = [visit for visit in visits if is_likely(*visit)] + sample(visits, 11)
    succeeded: list[Any] = []
    for path, method in tries:
        page = text_of(client, path, method).replace(path, "")
        succeeded += [(path, method)] if any(secret in page for secret in secrets | rows) else []
    succeeded += [browser for browser in (client, superuser, adas_browser) if not is_in(browser)]
    report("A user finds another user's session", tries, succeeded)


def test_another_users_device_is_not_signed_out(
    profile: str, admin: User, ada: User, sample: Sample, report: Report
) -> None:
    admin_browser, client = browser(admin), browser(ada)
    row: UUID = row_of(admin_browser).pk
    spellings = [row, str(row).upper(), row.hex, f"{{{row}}}", f"{row_of(client).pk}/../{row}",
               f"urn:uuid:{row}", f"{row}%00", f"{row},{row}", row.int, uuid4()]  # fmt: skip
    tries = [
        (f"/devices/{spelling}/sign-out/{query}", form)
        for spelling in spellings
        for query, form in (("", {}), (f"?pk={row}&user={ada.pk}", {}), ("", {"pk": str(row)}))
    ]
    tries, succeeded = sample(tries), []
    for path, form in tries:
        response = client.post(path, form, follow=True)
        # The response is that to an unknown or invalid id.
        is_refused = (
            response.status_code == 404 or "That device is already signed out." in response.text
        )
        succeeded += [] if is_refused and is_in(admin_browser) and is_in(client) else [path]
    assert SignedInSession.objects.count() == 2
    report("A device of another user is signed out", tries, succeeded)


@on(*SERVER_ENGINES)
def test_encrypted_key_is_valid_for_this_site_and_engine_only(
    profile: str, admin: User, ada: User, settings: Settings, sample: Sample, report: Report
) -> None:
    """Tries those of another site, engine, purpose or ended session, and cut or changed ones."""
    client, adas_browser, ended = (
        browser(admin),
        client_with_data(ada, ADAS_DATA),
        client_with_data(ada, ADAS_DATA),
    )
    key, ended_key = key_of(adas_browser), key_of(ended)
    ended.post("/auth/sign-out/")
    encrypted = inspector.encrypt(key, inspector.KEY)
    assert ADAS_DATA in client.get(f"{STORED}{encrypted}/change/").content.decode()
    with mock.patch.object(settings, "SECRET_KEY", "another site's"):
        tries = [inspector.encrypt(key, inspector.KEY)]
    with mock.patch("cookieproj.engines.running_engine.name", return_value="another"):
        tries.append(inspector.encrypt(key, inspector.KEY))
    tries += [
        inspector.encrypt(key, inspector.POSITION),
        inspector.encrypt(ended_key, inspector.KEY),
    ]
    tries += [
        inspector.encrypt(text, inspector.KEY) for text in ("", "../x", "\0", "x" * 99, f"{key} ")
    ]
    tries += [
        key,
        ended_key,
        key.encode().hex(),
        encrypted[:-2],
        encrypted[2:],
        encrypted + "00",
        encrypted * 2,
        "00" * 48,
    ]
    for index in sample(range(0, len(encrypted), 2), 5):
        flipped = f"{int(encrypted[index : index + 2], 16) ^ 1:02x}"
        tries.append(encrypted[:index] + flipped + encrypted[index + 2 :])
    succeeded: list[Any] = []
    for attempt in tries:
        for response in (
            client.get(f"{STORED}{attempt}/change/"),
            client.get(f"{STORED}{attempt}/history/"),
            client.post(f"{STORED}{attempt}/delete/", {"post": "yes"}),
        ):
            is_refused = response.status_code == 302 and key not in str(response.headers)
            succeeded += [] if is_refused or key in attempt else [(attempt, response.status_code)]
    succeeded += [] if is_in(adas_browser) else ["ended"]
    report("A forged encrypted key in a URL of the admin", tries, succeeded)


def test_session_page_shows_only_own_session(
    profile: str, admin: User, ada: User, settings: Settings, sample: Sample, report: Report
) -> None:
    """With DEBUG on it shows its session's key on request, and no other session's."""
    settings.DEBUG = True
    superuser, client = client_with_data(admin, SUPERUSERS_DATA), browser(ada)
    row, key = row_of(superuser), key_of(superuser)
    tries = [
        f"/session/{whole}&{name}={value}"
        for whole in ("?", "?whole")
        for name in ("key", "session_key", "sessionid", "user", "pk", "id")
        for value in (key, row.pk)
    ]
    secrets = (SUPERUSERS_DATA, admin.get_session_auth_hash())
    tries = sample(tries)
    succeeded = [
        path
        for path in tries
        if any(secret in client.get(path).getvalue().decode() for secret in secrets)
    ]
    report("A user finds another user's session", tries, succeeded)
