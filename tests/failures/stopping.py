"""A request that is stopped inside the site, while others of the same browser come and go.

All in one thread, so that the order is the one that was meant, however busy the machine is.
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

# What happens while the next request is stopped.
_planned: list[Callable[[], object]] = []


def happen() -> None:
    while _planned:
        _planned.pop()()


class Stops:
    """Before it reads its session."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        self.stop(request)
        return self.get_response(request)

    def stop(self, request: HttpRequest) -> None:
        happen()

    @classmethod
    def install(cls, settings: Settings) -> None:
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.{cls.__name__}"]


class StopsLater(Stops):
    """Once it knows who its user is."""

    def stop(self, request: HttpRequest) -> None:
        if _planned:
            assert str(request.user)
            super().stop(request)


class StopsHalfWay:
    """Inside its view, as the credentials are looked at.

    An authentication backend, and a validator of passwords: a view asks both half-way.
    """

    def authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        request.session.get("color")
        happen()

    def validate(self, password: str, user: User | None = None) -> None:
        happen()

    def get_help_text(self) -> str:
        return ""

    def get_user(self, user_id: int) -> None:
        return None

    @classmethod
    def install(cls, settings: Settings) -> None:
        name = f"{__name__}.{cls.__name__}"
        settings.AUTHENTICATION_BACKENDS = [name, *settings.AUTHENTICATION_BACKENDS]
        settings.AUTH_PASSWORD_VALIDATORS = [{"NAME": name}]


Stop = type[Stops] | type[StopsHalfWay]


@pytest.fixture
def run(whose: Whose, profile: str, settings: Settings) -> str:
    run_on(settings, whose, profile)
    forget_folder()
    return profile


@pytest.fixture(params=[Stops, StopsLater])
def stops(request: pytest.FixtureRequest) -> Stop:
    found: Stop = request.param
    return found


@pytest.fixture
def meanwhile(run: str, stops: Stop, settings: Settings) -> Iterator[Meanwhile]:
    """Plan what happens while the next request is stopped; it is wrong if none was."""
    stops.install(settings)
    _planned.clear()
    yield _planned.append
    assert not _planned


def same_browser(client: Client) -> Client:
    """Another of its tabs: with the cookies that it has now."""
    other = Client()
    for name, cookie in client.cookies.items():
        other.cookies[name] = cookie.value
    return other


def in_another_tab(client: Client, path: str, form: dict[str, str]) -> Callable[[], None]:
    """Sends that form with the cookies of now; its answer is the first that the browser gets."""
    tab = same_browser(client)

    def send() -> None:
        assert tab.post(path, form).status_code == 302
        # The next answer may change them.
        client.cookies.update(tab.cookies)

    return send
