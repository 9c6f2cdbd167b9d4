"""Two concurrent requests of a browser, each of which changes the session key: a double click.

The browser has the cookie of the last response.
"""

import re

import pytest
from django.conf import settings as django_settings
from django.test import Client

from cookieproj.devices.signing_out import sign_out_everywhere
from demo.models import User
from tests.families import IN_COOKIES
from tests.fault_table import Tally, Whose

from .stopping import ADMIN, NEW_PASSWORD, SIGN_INS, DuringRequest, StopInView, same_browser

pytestmark = pytest.mark.parametrize("stop_point", [StopInView], indirect=True)


@pytest.mark.parametrize("path", SIGN_INS)
def test_double_click_on_sign_in_signs_in_and_keeps_data(
    path: str,
    whose: Whose,
    running_profile: str,
    during_request: DuringRequest,
    client: Client,
    admin: User,
    tally: Tally,
) -> None:
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    before = same_browser(client)
    first = same_browser(client)
    during_request(lambda: first.post(path, ADMIN))
    client.raise_request_exception = False
    response = client.post(path, ADMIN)
    is_in = response.status_code == 302 and "admin" in client.get(SIGN_INS[path]).content.decode()
    has_data = client.get("/sessions/get-item/?key=color").content.decode() == "color is blue\n"
    tally(
        "Two sign-ins at once over one session: signed out", whose, 1, int(not (is_in and has_data))
    )
    assert is_in
    assert has_data
    if running_profile not in IN_COOKIES:
        # The key from before the sign-in opens nothing.
        assert before.get("/sessions/get-item/?key=color").content.decode() != "color is blue\n"


def test_password_change_sent_twice_keeps_the_session(
    whose: Whose,
    running_profile: str,
    during_request: DuringRequest,
    client: Client,
    admin: User,
    tally: Tally,
) -> None:
    client.post("/auth/sign-in/", ADMIN)
    first = same_browser(client)
    during_request(lambda: first.post("/admin/password_change/", NEW_PASSWORD))
    client.raise_request_exception = False
    response = client.post("/admin/password_change/", NEW_PASSWORD)
    is_in = response.status_code == 302 and "welcome admin" in client.get("/auth/account/").text
    tally("A new password sent twice at once: signed out", whose, 1, int(not is_in))
    assert is_in


def test_sign_in_while_another_tab_signs_out_signs_in(
    whose: Whose,
    running_profile: str,
    during_request: DuringRequest,
    client: Client,
    admin: User,
    tally: Tally,
) -> None:
    """The sign-in stores the session again, and a sign-out everywhere ends it."""
    client.post("/auth/by-hand-sign-in/", ADMIN)
    other = same_browser(client)
    during_request(lambda: other.post("/auth/sign-out/"))
    client.raise_request_exception = False
    response = client.post("/auth/sign-in/", ADMIN)
    is_in = response.status_code == 302 and "welcome admin" in client.get("/auth/account/").text
    tally("A sign-in over a session that ends meanwhile: signed out", whose, 1, int(not is_in))
    assert is_in
    copies = [same_browser(client), other]
    sign_out_everywhere(User.objects.get())
    for each in (client, *copies):
        assert "welcome" not in each.get("/auth/account/", follow=True).text


def test_concurrent_sign_ins_get_different_keys(
    whose: Whose, running_profile: str, during_request: DuringRequest, client: Client, admin: User
) -> None:
    name = django_settings.SESSION_COOKIE_NAME
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    before = client.cookies[name].value
    first = same_browser(client)
    during_request(lambda: first.post("/auth/sign-in/", ADMIN))
    client.post("/auth/sign-in/", ADMIN)
    keys = {before, first.cookies[name].value, client.cookies[name].value}
    assert len(keys) == 3 or running_profile in IN_COOKIES


@pytest.mark.parametrize("whose", ["ours"], indirect=True)
@pytest.mark.parametrize("color", ["", "blue"], ids=["without a session", "with a session"])
def test_both_of_two_concurrent_sign_ins_are_listed_devices(
    color: str,
    whose: Whose,
    running_profile: str,
    during_request: DuringRequest,
    client: Client,
    admin: User,
) -> None:
    """The browser may keep either. The user can end the other one in the list."""
    if color:
        client.post("/sessions/set-item/", {"key": "color", "value": color})
    first = same_browser(client)
    during_request(lambda: first.post("/auth/sign-in/", ADMIN))
    client.post("/auth/sign-in/", ADMIN)
    for tab in (client, first):
        assert "welcome admin" in tab.get("/auth/account/").text
    [this, other] = re.findall(r"/devices/[\w-]+/sign-out/", client.get("/devices/").text)
    client.post(other)
    assert "welcome admin" in client.get("/auth/account/").text
    assert "welcome" not in first.get("/auth/account/", follow=True).text
    assert re.findall(r"/devices/[\w-]+/sign-out/", client.get("/devices/").text) == [this]
