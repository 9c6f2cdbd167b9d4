"""A request is answered after another one of its browser, which has changed the session key."""

from collections.abc import Callable

import pytest
from django.conf import settings as django_settings
from django.test import Client

from demo.models import User
from tests.fault_table import Tally, Whose

from .stopping import ADMIN, NEW_PASSWORD, SIGN_INS, DuringRequest, in_another_tab

NAME = django_settings.SESSION_COOKIE_NAME
ENDS_OTHERS = {"/devices/sign-out-others/": {}, "/admin/password_change/": NEW_PASSWORD}
LATE_PATHS = ["/sessions/get-item/?key=color", "/auth/account/"]


def use_anonymous_session(client: Client) -> None:
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})


def use_ended_session(client: Client) -> None:
    use_anonymous_session(client)
    copied = client.cookies[NAME].value
    client.post("/lifecycle/flush/")
    client.cookies[NAME] = copied


def use_unknown_key(client: Client) -> None:
    client.cookies[NAME] = "k" * 32


SIGN_IN_CASES: list[tuple[str, Callable[[Client], None]]] = [
    *((path, use_anonymous_session) for path in SIGN_INS),
    ("/auth/sign-in/", use_ended_session),
    ("/auth/sign-in/", use_unknown_key),
]


@pytest.mark.parametrize(("path", "prepare"), SIGN_IN_CASES)
@pytest.mark.parametrize("late_path", LATE_PATHS)
def test_late_response_keeps_user_signed_in_after_sign_in(
    path: str,
    late_path: str,
    prepare: Callable[[Client], None],
    whose: Whose,
    running_profile: str,
    during_request: DuringRequest,
    client: Client,
    admin: User,
    tally: Tally,
) -> None:
    prepare(client)
    during_request(in_another_tab(client, path, ADMIN))
    client.get(late_path)
    is_in = "admin" in client.get(SIGN_INS[path]).text
    tally(
        "A late answer to a page that is under way at a sign-in: signed out",
        whose,
        1,
        int(not is_in),
    )
    assert whose == "Django's" or is_in


@pytest.mark.parametrize("late_path", LATE_PATHS)
@pytest.mark.parametrize("path", ENDS_OTHERS)
def test_late_response_keeps_session_that_has_ended_all_others(
    path: str,
    late_path: str,
    whose: Whose,
    running_profile: str,
    during_request: DuringRequest,
    client: Client,
    admin: User,
    tally: Tally,
) -> None:
    client.post("/auth/sign-in/", ADMIN)
    during_request(in_another_tab(client, path, ENDS_OTHERS[path]))
    client.get(late_path)
    is_in = "welcome admin" in client.get("/auth/account/").text
    tally("A late answer while all others are signed out: signed out", whose, 1, int(not is_in))
    assert whose == "Django's" or is_in


@pytest.mark.parametrize("path", ENDS_OTHERS)
def test_ending_all_others_twice_at_once_keeps_the_session(
    path: str,
    whose: Whose,
    running_profile: str,
    during_request: DuringRequest,
    client: Client,
    admin: User,
    tally: Tally,
) -> None:
    client.post("/auth/sign-in/", ADMIN)
    during_request(in_another_tab(client, path, ENDS_OTHERS[path]))
    client.post(path, ENDS_OTHERS[path])
    is_in = "welcome admin" in client.get("/auth/account/").text
    tally("All others are signed out, sent twice: signed out", whose, 1, int(not is_in))
    assert whose == "Django's" or is_in
    assert whose == "Django's" or User.objects.get().signed_in_sessions.live().count() == 1
