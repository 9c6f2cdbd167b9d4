"""A request that is stopped inside the site, while others of the same browser come and go.

All in one thread, so that the order is the one that was meant, however busy the machine is.
"""

from collections.abc import Callable, Iterator

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from pytest_django import Settings

Meanwhile = Callable[[Callable[[], object]], None]

# What the next request does before its view.
_planned: list[Callable[[], object]] = []


class Stops:
    """Before it reads its session."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        self.stop(request)
        return self.get_response(request)

    def stop(self, request: HttpRequest) -> None:
        while _planned:
            _planned.pop()()


class StopsLater(Stops):
    """Once it knows who its user is."""

    def stop(self, request: HttpRequest) -> None:
        if _planned:
            assert str(request.user)
            super().stop(request)


@pytest.fixture(params=[Stops, StopsLater])
def stops(request: pytest.FixtureRequest) -> type[Stops]:
    found: type[Stops] = request.param
    return found


@pytest.fixture
def meanwhile(run: str, stops: type[Stops], settings: Settings) -> Iterator[Meanwhile]:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.{stops.__name__}"]
    _planned.clear()
    yield _planned.append
    assert not _planned


def same_browser(client: Client) -> Client:
    """Another of its tabs: with the cookies that it has now."""
    other = Client()
    for name, cookie in client.cookies.items():
        other.cookies[name] = cookie.value
    return other


def answered(client: Client, other: Client) -> None:
    """The browser has got the cookies of that tab's answers; the next answer may change them."""
    client.cookies.update(other.cookies)
