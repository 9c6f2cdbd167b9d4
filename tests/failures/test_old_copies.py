"""A session ends all others of its user, and then an old copy of its own cookie is sent."""

from collections.abc import Callable

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.test import Client

from demo.models import User
from tests.browsers import browser, is_in, row_of
from tests.conftest import on
from tests.families import COOKIE_ENGINES
from tests.fault_table import Tally, Whose

from .stopping import DuringRequest, StopAfterUser, same_browser

NAME = django_settings.SESSION_COOKIE_NAME
ADA = {"username": "ada", "password": "cookies"}
GRACE = {"username": "grace", "password": "cookies"}
PASSWORDS = ("new_password1", "new_password2")
NEW_PASSWORD = {"old_password": "cookies"} | dict.fromkeys(PASSWORDS, "3 biscuits")

Action = Callable[[Client], object]

ENDS_OTHERS: dict[str, Action] = {
    "sign-out of others": lambda client: client.post("/devices/sign-out-others/"),
    "password change": lambda client: client.post("/admin/password_change/", NEW_PASSWORD),
}
COPY_ACTIONS: dict[str, Action] = {
    "reads": lambda copy: copy.get("/auth/account/"),
    "reads the session but no user": lambda copy: copy.get("/sessions/items/"),
    "writes": lambda copy: copy.post("/sessions/set-item/"),
    "signs out": lambda copy: copy.post("/auth/sign-out/"),
    "signs out in the admin": lambda copy: copy.post("/admin/logout/"),
    "flushes": lambda copy: copy.post("/lifecycle/flush/"),
    "clears": lambda copy: copy.post("/lifecycle/clear/"),
    "signs out all others": lambda copy: copy.post("/devices/sign-out-others/"),
    "signs in as another user": lambda copy: copy.post("/auth/sign-in/", GRACE),
}


@pytest.fixture(autouse=True)
def people(db: None) -> None:
    for name in ("ada", "grace"):
        User.objects.create_superuser(name, password="cookies")


def is_listed(client: Client) -> bool:
    return "this device" in client.get("/devices/").text


@pytest.mark.parametrize("copy_action", COPY_ACTIONS)
@pytest.mark.parametrize("ends_others", ENDS_OTHERS)
def test_old_copy_does_not_sign_out_its_owner(
    ends_others: str,
    copy_action: str,
    whose: Whose,
    running_profile: str,
    tally: Tally,
) -> None:
    client = browser(User.objects.get(username="ada"))
    copy = same_browser(client)
    ENDS_OTHERS[ends_others](client)
    COPY_ACTIONS[copy_action](copy)
    is_kept = is_in(client) and is_listed(client)
    tally("An old copy of a cookie signs its owner out", whose, 1, int(not is_kept))
    assert is_kept


@pytest.mark.parametrize(
    "copy_action", [name for name in COPY_ACTIONS if "signs out all" not in name]
)
@pytest.mark.parametrize("ends_others", ENDS_OTHERS)
@pytest.mark.parametrize("stop_point", [StopAfterUser], indirect=True)
def test_late_request_does_not_sign_out_its_owner(
    ends_others: str,
    copy_action: str,
    running_profile: str,
    whose: Whose,
    during_request: DuringRequest,
    tally: Tally,
) -> None:
    client = browser(User.objects.get(username="ada"))
    late = same_browser(client)
    late.raise_request_exception = False
    during_request(lambda: ENDS_OTHERS[ends_others](client))
    COPY_ACTIONS[copy_action](late)
    is_kept = is_in(client) and is_listed(client)
    tally("An old copy of a cookie signs its owner out", whose, 1, int(not is_kept))
    assert is_kept


@pytest.mark.parametrize("whose", ["ours"], indirect=True)
@pytest.mark.parametrize("ends_others", ENDS_OTHERS)
def test_sign_out_of_owner_ends_all_copies(
    ends_others: str, whose: Whose, running_profile: str
) -> None:
    client = browser(User.objects.get(username="ada"))
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    copies = [same_browser(client)]
    ENDS_OTHERS[ends_others](client)
    copies.append(same_browser(client))
    COPY_ACTIONS["reads"](copies[0])
    copies.append(same_browser(client))
    assert "blue" in copies[-1].get("/sessions/items/").text
    client.post("/auth/sign-out/")
    for copy in copies:
        assert not is_in(same_browser(copy))
        assert "blue" not in copy.get("/sessions/items/").text


@pytest.mark.parametrize("whose", ["ours"], indirect=True)
@pytest.mark.parametrize("ends_others", ENDS_OTHERS)
def test_deleting_row_ends_all_copies(ends_others: str, whose: Whose, running_profile: str) -> None:
    client = browser(User.objects.get(username="ada"))
    copies = [same_browser(client)]
    ENDS_OTHERS[ends_others](client)
    copies.append(same_browser(client))
    row_of(client).delete()
    assert not any(map(is_in, [client, *copies]))


@pytest.mark.parametrize("whose", ["ours"], indirect=True)
def test_copy_from_before_signout_command_does_not_sign_out_new_session(
    whose: Whose, running_profile: str
) -> None:
    client = browser(User.objects.get(username="ada"))
    copy = same_browser(client)
    call_command("signout", "ada", verbosity=0)
    assert not is_in(copy)
    client.post("/auth/sign-in/", ADA)
    COPY_ACTIONS["signs out"](copy)
    assert is_in(client)
    assert is_listed(client)


@on(*COOKIE_ENGINES)
@pytest.mark.parametrize("whose", ["ours"], indirect=True)
def test_unregistered_cookie_is_refused_after_sign_out(whose: Whose, running_profile: str) -> None:
    """It has no row yet, only the record of its refusal."""
    client = browser(User.objects.get(username="ada"))
    session = client.session
    del session["_signed_in_session"]
    session.save()
    client.cookies[NAME] = session.session_key or ""
    copy = same_browser(client)
    client.post("/auth/sign-out/")
    assert not is_in(copy)


@on(*COOKIE_ENGINES)
@pytest.mark.parametrize("whose", ["ours"], indirect=True)
@pytest.mark.parametrize("stop_point", [StopAfterUser], indirect=True)
def test_sign_in_while_another_tab_signs_out_on_cookie_engines(
    whose: Whose, running_profile: str, during_request: DuringRequest
) -> None:
    """On other engines the previous session has ended, and saving it raises an error."""
    tab = browser(User.objects.get(username="ada"))
    client, copy = same_browser(tab), same_browser(tab)
    during_request(lambda: tab.post("/auth/sign-out/"))
    client.post("/auth/sign-in/", ADA)
    assert is_in(client)
    assert not is_in(copy)
