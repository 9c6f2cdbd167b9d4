"""A session is kept while all others of its user end, and a cookie from before that is sent."""

from collections.abc import Callable

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.test import Client

from demo.models import User
from tests.browsers import browser, is_in, row_of
from tests.conftest import on
from tests.families import COOKIE_ENGINES
from tests.fault_table import Held, Whose

from .stopping import Meanwhile, StopsLater, same_browser

NAME = django_settings.SESSION_COOKIE_NAME
ADA = {"username": "ada", "password": "cookies"}
GRACE = {"username": "grace", "password": "cookies"}
PASSWORDS = ("new_password1", "new_password2")
NEW_PASSWORD = {"old_password": "cookies"} | dict.fromkeys(PASSWORDS, "3 biscuits")

Step = Callable[[Client], object]

KEEPS: dict[str, Step] = {
    "all others": lambda client: client.post("/devices/sign-out-others/"),
    "another password": lambda client: client.post("/admin/password_change/", NEW_PASSWORD),
}
COMES: dict[str, Step] = {
    "looks": lambda copy: copy.get("/auth/account/"),
    "looks at a page that asks for no user": lambda copy: copy.get("/sessions/items/"),
    "writes": lambda copy: copy.post("/sessions/set-item/"),
    "signs out": lambda copy: copy.post("/auth/sign-out/"),
    "signs out in the admin": lambda copy: copy.post("/admin/logout/"),
    "flushes": lambda copy: copy.post("/lifecycle/flush/"),
    "clears": lambda copy: copy.post("/lifecycle/clear/"),
    "signs out all others": lambda copy: copy.post("/devices/sign-out-others/"),
    "another user": lambda copy: copy.post("/auth/sign-in/", GRACE),
}


@pytest.fixture(autouse=True)
def people(db: None) -> None:
    for name in ("ada", "grace"):
        User.objects.create_superuser(name, password="cookies")


def is_listed(client: Client) -> bool:
    return "this device" in client.get("/devices/").text


@pytest.mark.parametrize("comes", COMES)
@pytest.mark.parametrize("keeps", KEEPS)
def test_it_signs_nobody_out(keeps: str, comes: str, whose: Whose, run: str, held: Held) -> None:
    client = browser(User.objects.get(username="ada"))
    copy = same_browser(client)
    KEEPS[keeps](client)
    COMES[comes](copy)
    stays = is_in(client) and is_listed(client)
    held("An old copy of a cookie signs its owner out", whose, 1, int(not stays))
    assert stays


@pytest.mark.parametrize("comes", [name for name in COMES if "signs out all" not in name])
@pytest.mark.parametrize("keeps", KEEPS)
@pytest.mark.parametrize("stops", [StopsLater], indirect=True)
def test_nor_does_a_request_that_is_under_way(
    keeps: str, comes: str, run: str, whose: Whose, meanwhile: Meanwhile, held: Held
) -> None:
    client = browser(User.objects.get(username="ada"))
    late = same_browser(client)
    late.raise_request_exception = False
    meanwhile(lambda: KEEPS[keeps](client))
    COMES[comes](late)
    stays = is_in(client) and is_listed(client)
    held("An old copy of a cookie signs its owner out", whose, 1, int(not stays))
    assert stays


@pytest.mark.parametrize("whose", ["ours"], indirect=True)
@pytest.mark.parametrize("keeps", KEEPS)
def test_when_the_owner_signs_out_all_copies_are_out(keeps: str, whose: Whose, run: str) -> None:
    client = browser(User.objects.get(username="ada"))
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    copies = [same_browser(client)]
    KEEPS[keeps](client)
    copies.append(same_browser(client))
    COMES["looks"](copies[0])
    copies.append(same_browser(client))
    assert "blue" in copies[-1].get("/sessions/items/").text
    client.post("/auth/sign-out/")
    for copy in copies:
        assert not is_in(same_browser(copy))
        assert "blue" not in copy.get("/sessions/items/").text


@pytest.mark.parametrize("whose", ["ours"], indirect=True)
@pytest.mark.parametrize("keeps", KEEPS)
def test_so_they_are_when_it_is_ended_from_elsewhere(keeps: str, whose: Whose, run: str) -> None:
    client = browser(User.objects.get(username="ada"))
    copies = [same_browser(client)]
    KEEPS[keeps](client)
    copies.append(same_browser(client))
    row_of(client).delete()
    assert not any(map(is_in, [client, *copies]))


@pytest.mark.parametrize("whose", ["ours"], indirect=True)
def test_a_copy_of_a_session_that_has_ended_everywhere(whose: Whose, run: str) -> None:
    client = browser(User.objects.get(username="ada"))
    copy = same_browser(client)
    call_command("signout", "ada", verbosity=0)
    assert not is_in(copy)
    client.post("/auth/sign-in/", ADA)
    COMES["signs out"](copy)
    assert is_in(client)
    assert is_listed(client)


@on(*COOKIE_ENGINES)
@pytest.mark.parametrize("whose", ["ours"], indirect=True)
def test_a_cookie_from_before_the_index_that_is_signed_out_at_once(whose: Whose, run: str) -> None:
    """Nothing is written down of it yet, but that it is refused."""
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
@pytest.mark.parametrize("stops", [StopsLater], indirect=True)
def test_a_sign_in_while_another_tab_signs_out(
    whose: Whose, run: str, meanwhile: Meanwhile
) -> None:
    """On the other engines the session of before has ended, and storing it is refused."""
    tab = browser(User.objects.get(username="ada"))
    client, copy = same_browser(tab), same_browser(tab)
    meanwhile(lambda: tab.post("/auth/sign-out/"))
    client.post("/auth/sign-in/", ADA)
    assert is_in(client)
    assert not is_in(copy)
