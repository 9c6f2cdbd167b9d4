"""Two requests of one browser at once, each of which changes the session's key: a double click.

The browser keeps the cookie of the answer that comes last.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.http import HttpRequest
from django.test import Client
from pytest_django import Settings

from demo.devices import sign_out_everywhere
from demo.models import User
from tests.conftest import forget_folder
from tests.families import run_on
from tests.held import Held, Whose

# What is behind each sign-in.
SIGN_INS = {
    "/auth/sign-in/": "/auth/account/",
    "/auth/by-hand-sign-in/": "/auth/by-hand/",
    "/admin/login/": "/admin/",
}
ADMIN = {"username": "admin", "password": "cookies"}
NEW_PASSWORD = {
    "old_password": "cookies",
    "new_password1": "Sw0rdf1sh",
    "new_password2": "Sw0rdf1sh",
}

Meanwhile = Callable[[Callable[[], object]], None]

# What the next request does once it has read its session.
_planned: list[Callable[[], object]] = []


class Interrupted:
    """An authentication backend, and a validator of passwords: both are asked half-way."""

    def authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        request.session.get("color")
        self.happen()

    def validate(self, password: str, user: User | None = None) -> None:
        self.happen()

    def get_help_text(self) -> str:
        return ""

    def get_user(self, user_id: int) -> None:
        return None

    def happen(self) -> None:
        while _planned:
            _planned.pop()()


@pytest.fixture
def meanwhile(settings: Settings) -> Meanwhile:
    name = f"{__name__}.Interrupted"
    settings.AUTHENTICATION_BACKENDS = [name, "django.contrib.auth.backends.ModelBackend"]
    settings.AUTH_PASSWORD_VALIDATORS = [{"NAME": name}]
    _planned.clear()
    return _planned.append


@pytest.fixture
def run(whose: Whose, profile: str, settings: Settings) -> str:
    run_on(settings, whose, profile)
    forget_folder()
    return profile


def same_browser(client: Client) -> Client:
    """Another of its tabs: with the cookies that it has now."""
    other = Client()
    for name, cookie in client.cookies.items():
        other.cookies[name] = cookie.value
    return other


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
    assert not _planned
    assert is_in
    assert keeps
    if run != "signed_cookies":
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
    assert not _planned
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
    assert len(keys) == 3 or run == "signed_cookies"
