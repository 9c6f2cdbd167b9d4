"""A request is under way while another one gives its session another key, and is answered last."""

from collections.abc import Callable

import pytest
from django.conf import settings as django_settings
from django.test import Client
from pytest_django import Settings

from demo.models import User
from tests.conftest import forget_folder
from tests.families import run_on
from tests.held import Held, Whose

from .stopping import Meanwhile, Stops, answered, meanwhile, same_browser, stops

__all__ = ["meanwhile", "stops"]

NAME = django_settings.SESSION_COOKIE_NAME
ADMIN = {"username": "admin", "password": "cookies"}
SIGN_INS = {
    "/auth/sign-in/": "/auth/account/",
    "/auth/by-hand-sign-in/": "/auth/by-hand/",
    "/admin/login/": "/admin/",
}
NEW_PASSWORD = {
    "old_password": "cookies",
    "new_password1": "Sw0rdf1sh",
    "new_password2": "Sw0rdf1sh",
}
KEEPS = {"/devices/sign-out-others/": {}, "/admin/password_change/": NEW_PASSWORD}
LATE = ["/sessions/get-item/?key=color", "/auth/account/"]


@pytest.fixture
def run(whose: Whose, profile: str, settings: Settings) -> str:
    run_on(settings, whose, profile)
    forget_folder()
    return profile


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
    tab = same_browser(client)

    def sign_in() -> None:
        assert tab.post(path, ADMIN).status_code == 302
        answered(client, tab)

    meanwhile(sign_in)
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
    tab = same_browser(client)

    def change() -> None:
        assert tab.post(path, KEEPS[path]).status_code == 302
        answered(client, tab)

    meanwhile(change)
    client.get(late)
    is_in = "welcome admin" in client.get("/auth/account/").text
    held("A late answer while all others are signed out: signed out", whose, 1, int(not is_in))
    assert whose == "Django's" or is_in


@pytest.mark.parametrize("path", KEEPS)
def test_also_if_it_is_sent_twice(
    path: str,
    stops: type[Stops],
    whose: Whose,
    run: str,
    meanwhile: Meanwhile,
    client: Client,
    admin: User,
    held: Held,
) -> None:
    client.post("/auth/sign-in/", ADMIN)
    tab = same_browser(client)

    def change() -> None:
        assert tab.post(path, KEEPS[path]).status_code == 302
        answered(client, tab)

    meanwhile(change)
    client.post(path, KEEPS[path])
    is_in = "welcome admin" in client.get("/auth/account/").text
    held("All others are signed out, sent twice: signed out", whose, 1, int(not is_in))
    assert whose == "Django's" or is_in
    assert whose == "Django's" or User.objects.get().signed_in_sessions.live().count() == 1
