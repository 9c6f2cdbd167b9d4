"""Each attack is made on the whole site: on our engines, and on Django's where they decide."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from tests.conftest import forget_folder
from tests.families import run_on
from tests.held import WHOSE, Held, Whose

Some = Callable[[Iterable[Any], int], list[Any]]
Judged = Callable[..., None]
Send = Callable[..., HttpResponse]


@pytest.fixture(params=WHOSE)
def whose(request: pytest.FixtureRequest, profile: str, settings: Settings) -> Whose:
    """The engine of the profile: ours, or Django's under Django's middleware."""
    owner: Whose = request.param
    run_on(settings, owner, profile)
    forget_folder()
    return owner


@pytest.fixture
def some(pytestconfig: pytest.Config) -> Some:
    """All of them with --long, else every so many."""

    def some(tries: Iterable[Any], every: int) -> list[Any]:
        return list(tries)[:: 1 if pytestconfig.getoption("--long") else every]

    return some


@pytest.fixture
def judged(held: Held) -> Judged:
    """Note what was tried and what of it let somebody in: on ours nothing may."""

    def judged(what: str, tries: Iterable[Any], lost: Iterable[Any], whose: Whose = "ours") -> None:
        tries, lost = list(tries), list(lost)
        held(what, whose, len(tries), len(lost))
        assert tries
        assert whose == "Django's" or lost == []

    return judged


@pytest.fixture
def send() -> Send:
    """A request with that very Cookie header, whatever was answered before."""
    client = Client(raise_request_exception=False)

    def send(path: str, cookie: str = "", method: str = "GET", **form: Any) -> HttpResponse:
        client.cookies.clear()
        # WSGI hands on bytes as Latin-1.
        line = cookie.encode(errors="surrogateescape").decode("latin-1")
        response: Any = getattr(client, method.lower())(path, form, headers={"cookie": line})
        return response  # type: ignore[no-any-return]

    return send
