"""Two requests of one browser at once, each of which changes the session's key: a double click.

The browser keeps the cookie of the answer that comes last.
"""

import re

import pytest
from django.conf import settings as django_settings
from django.test import Client

from cookieproj.devices.signing_out import sign_out_everywhere
from demo.models import User
from tests.families import IN_COOKIES
from tests.fault_table import Held, Whose

from .stopping import ADMIN, NEW_PASSWORD, SIGN_INS, Meanwhile, StopsHalfWay, same_browser

pytestmark = pytest.mark.parametrize("stops", [StopsHalfWay], indirect=True)


@pytest.mark.parametrize("path", SIGN_INS)
def test_a_double_click_on_a_sign_in_signs_in(
    path: str,
    whose: Whose,
    run: str,
    meanwhile: Meanwhile,
    client: Client,
    admin: User,
    held: Held,
) -> None:
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    before = same_browser(client)
    first = same_browser(client)
    meanwhile(lambda: first.post(path, ADMIN))
    client.raise_request_exception = False
    answer = client.post(path, ADMIN)
    is_in = answer.status_code == 302 and "admin" in client.get(SIGN_INS[path]).content.decode()
    keeps = client.get("/sessions/get-item/?key=color").content.decode() == "color is blue\n"
    held("Two sign-ins at once over one session: signed out", whose, 1, int(not (is_in and keeps)))
    assert is_in
    assert keeps
    if run not in IN_COOKIES:
        # Whoever knew the key of before has nothing of it.
        assert before.get("/sessions/get-item/?key=color").content.decode() != "color is blue\n"


def test_a_new_password_that_is_sent_twice_keeps_its_session(
    whose: Whose, run: str, meanwhile: Meanwhile, client: Client, admin: User, held: Held
) -> None:
    client.post("/auth/sign-in/", ADMIN)
    first = same_browser(client)
    meanwhile(lambda: first.post("/admin/password_change/", NEW_PASSWORD))
    client.raise_request_exception = False
    answer = client.post("/admin/password_change/", NEW_PASSWORD)
    is_in = answer.status_code == 302 and "welcome admin" in client.get("/auth/account/").text
    held("A new password sent twice at once: signed out", whose, 1, int(not is_in))
    assert is_in


def test_a_sign_in_over_a_session_that_another_tab_has_ended(
    whose: Whose, run: str, meanwhile: Meanwhile, client: Client, admin: User, held: Held
) -> None:
    """It stores that session anew, and a sign-out everywhere ends it all the same."""
    client.post("/auth/by-hand-sign-in/", ADMIN)
    other = same_browser(client)
    meanwhile(lambda: other.post("/auth/sign-out/"))
    client.raise_request_exception = False
    answer = client.post("/auth/sign-in/", ADMIN)
    is_in = answer.status_code == 302 and "welcome admin" in client.get("/auth/account/").text
    held("A sign-in over a session that ends meanwhile: signed out", whose, 1, int(not is_in))
    assert is_in
    copies = [same_browser(client), other]
    sign_out_everywhere(User.objects.get())
    for each in (client, *copies):
        assert "welcome" not in each.get("/auth/account/", follow=True).text


def test_the_browser_has_a_key_of_its_own_after_it(
    whose: Whose, run: str, meanwhile: Meanwhile, client: Client, admin: User
) -> None:
    name = django_settings.SESSION_COOKIE_NAME
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    before = client.cookies[name].value
    first = same_browser(client)
    meanwhile(lambda: first.post("/auth/sign-in/", ADMIN))
    client.post("/auth/sign-in/", ADMIN)
    keys = {before, first.cookies[name].value, client.cookies[name].value}
    assert len(keys) == 3 or run in IN_COOKIES


@pytest.mark.parametrize("whose", ["ours"], indirect=True)
@pytest.mark.parametrize("color", ["", "blue"], ids=["without a session", "over one"])
def test_both_of_two_sign_ins_are_devices_since_the_browser_may_hold_either(
    color: str, whose: Whose, run: str, meanwhile: Meanwhile, client: Client, admin: User
) -> None:
    """Nobody knows which answer comes last. The one that is not held can be ended in the list."""
    if color:
        client.post("/sessions/set-item/", {"key": "color", "value": color})
    first = same_browser(client)
    meanwhile(lambda: first.post("/auth/sign-in/", ADMIN))
    client.post("/auth/sign-in/", ADMIN)
    for held in (client, first):
        assert "welcome admin" in held.get("/auth/account/").text
    [this, other] = re.findall(r"/devices/[\w-]+/sign-out/", client.get("/devices/").text)
    client.post(other)
    assert "welcome admin" in client.get("/auth/account/").text
    assert "welcome" not in first.get("/auth/account/", follow=True).text
    assert re.findall(r"/devices/[\w-]+/sign-out/", client.get("/devices/").text) == [this]
