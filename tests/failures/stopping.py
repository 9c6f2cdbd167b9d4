"""A request that is stopped inside the site while other requests of its browser are served.

All of them run in one thread, so that their order is always the planned one.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from pytest_django import Settings

from demo.models import User
from tests.conftest import forget_folder
from tests.families import run_on
from tests.fault_table import Whose

# Each sign-in page, and a page that needs a sign-in there.
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

DuringRequest = Callable[[Callable[[], object]], None]

# Functions to call while the next request is stopped.
_planned: list[Callable[[], object]] = []


def call_planned() -> None:
    while _planned:
        _planned.pop()()


class StopBeforeSession:
    """Stops a request before it reads its session."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        self.stop(request)
        return self.get_response(request)

    def stop(self, request: HttpRequest) -> None:
        call_planned()

    @classmethod
    def install(cls, settings: Settings) -> None:
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.{cls.__name__}"]


class StopAfterUser(StopBeforeSession):
    """Stops a request after it has read its user."""

    def stop(self, request: HttpRequest) -> None:
        if _planned:
            assert str(request.user)
            super().stop(request)


class StopInView:
    """Stops a request inside its view, when the credentials are checked.

    It is both an authentication backend and a password validator.
    """

    def authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        request.session.get("color")
        call_planned()

    def validate(self, password: str, user: User | None = None) -> None:
        call_planned()

    def get_help_text(self) -> str:
        return ""

    def get_user(self, user_id: int) -> None:
        return None

    @classmethod
    def install(cls, settings: Settings) -> None:
        name = f"{__name__}.{cls.__name__}"
        settings.AUTHENTICATION_BACKENDS = [name, *settings.AUTHENTICATION_BACKENDS]
        settings.AUTH_PASSWORD_VALIDATORS = [{"NAME": name}]


StopPoint = type[StopBeforeSession] | type[StopInView]


@pytest.fixture
def running_profile(whose: Whose, profile: str, settings: Settings) -> str:
    """The profile, on our engine or on Django's."""
    run_on(settings, whose, profile)
    forget_folder()
    return profile


@pytest.fixture(params=[StopBeforeSession, StopAfterUser])
def stop_point(request: pytest.FixtureRequest) -> StopPoint:
    point: StopPoint = request.param
    return point


@pytest.fixture
def during_request(
    running_profile: str, stop_point: StopPoint, settings: Settings
) -> Iterator[DuringRequest]:
    """Calls a function while the next request is stopped. The test fails if none is stopped."""
    stop_point.install(settings)
    _planned.clear()
    yield _planned.append
    assert not _planned


def same_browser(client: Client) -> Client:
    """Another tab of the same browser, with the cookies as they are now."""
    tab = Client()
    for name, cookie in client.cookies.items():
        tab.cookies[name] = cookie.value
    return tab


def in_another_tab(client: Client, path: str, form: dict[str, str]) -> Callable[[], None]:
    """A function that sends a form with the present cookies, and receives the response first."""
    tab = same_browser(client)

    def send() -> None:
        assert tab.post(path, form).status_code == 302
        # The response to the stopped request may change them again.
        client.cookies.update(tab.cookies)

    return send
