"""A request is under way while another one gives its session another key, and is answered last."""

from collections.abc import Callable

import pytest
from django.conf import settings as django_settings
from django.test import Client

from demo.models import User
from tests.fault_table import Held, Whose

from .stopping import ADMIN, NEW_PASSWORD, SIGN_INS, Meanwhile, in_another_tab

NAME = django_settings.SESSION_COOKIE_NAME
KEEPS = {"/devices/sign-out-others/": {}, "/admin/password_change/": NEW_PASSWORD}
LATE = ["/sessions/get-item/?key=color", "/auth/account/"]


def anonymous(client: Client) -> None:
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})


def over(client: Client) -> None:
    """It has a session that has ended, wherever it was kept."""
    anonymous(client)
    copied = client.cookies[NAME].value
    client.post("/lifecycle/flush/")
    client.cookies[NAME] = copied


def of_nothing(client: Client) -> None:
    client.cookies[NAME] = "k" * 32


BEFORE: list[tuple[str, Callable[[Client], None]]] = [
    *((path, anonymous) for path in SIGN_INS),
    ("/auth/sign-in/", over),
    ("/auth/sign-in/", of_nothing),
]


@pytest.mark.parametrize(("path", "before"), BEFORE)
@pytest.mark.parametrize("late", LATE)
def test_whoever_signs_in_stays_in(
    path: str,
    late: str,
    before: Callable[[Client], None],
    whose: Whose,
    run: str,
    meanwhile: Meanwhile,
    client: Client,
    admin: User,
    held: Held,
) -> None:
    before(client)
    meanwhile(in_another_tab(client, path, ADMIN))
    client.get(late)
    is_in = "admin" in client.get(SIGN_INS[path]).text
    held(
        "A late answer to a page that is under way at a sign-in: signed out",
        whose,
        1,
        int(not is_in),
    )
    assert whose == "Django's" or is_in


@pytest.mark.parametrize("late", LATE)
@pytest.mark.parametrize("path", KEEPS)
def test_whoever_ends_all_other_sessions_stays_in(
    path: str,
    late: str,
    whose: Whose,
    run: str,
    meanwhile: Meanwhile,
    client: Client,
    admin: User,
    held: Held,
) -> None:
    client.post("/auth/sign-in/", ADMIN)
    meanwhile(in_another_tab(client, path, KEEPS[path]))
    client.get(late)
    is_in = "welcome admin" in client.get("/auth/account/").text
    held("A late answer while all others are signed out: signed out", whose, 1, int(not is_in))
    assert whose == "Django's" or is_in


@pytest.mark.parametrize("path", KEEPS)
def test_also_if_it_is_sent_twice(
    path: str,
    whose: Whose,
    run: str,
    meanwhile: Meanwhile,
    client: Client,
    admin: User,
    held: Held,
) -> None:
    client.post("/auth/sign-in/", ADMIN)
    meanwhile(in_another_tab(client, path, KEEPS[path]))
    client.post(path, KEEPS[path])
    is_in = "welcome admin" in client.get("/auth/account/").text
    held("All others are signed out, sent twice: signed out", whose, 1, int(not is_in))
    assert whose == "Django's" or is_in
    assert whose == "Django's" or User.objects.get().signed_in_sessions.live().count() == 1
