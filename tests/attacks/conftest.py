"""Each attack is made on the whole site: on our engines, and on Django's where they decide."""

from collections.abc import Callable, Iterable
from math import ceil
from random import Random
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from tests.conftest import forget_folder
from tests.families import run_on
from tests.fault_table import WHOSE, Held, Whose
from tests.tiers import is_fast

Some = Callable[..., list[Any]]
Judged = Callable[..., None]
Send = Callable[..., HttpResponse]


@pytest.fixture(params=WHOSE)
def whose(request: pytest.FixtureRequest, profile: str, settings: Settings) -> Whose:
    """The engine of the profile: ours, or Django's under Django's middleware."""
    owner: Whose = request.param
    run_on(settings, owner, profile)
    forget_folder()
    return owner


# Of what the suite tries, the fast tier tries a third: another on each profile.
SHARE = 3


@pytest.fixture
def some(request: pytest.FixtureRequest) -> Some:
    """All of them with --long, else every so many; of these a share in the fast tier."""

    def some(tries: Iterable[Any], every: int = 1) -> list[Any]:
        found = list(tries)[:: 1 if request.config.getoption("--long") else every]
        return share(found, request.node.nodeid) if is_fast(request.config) else found

    return some


def share(tries: list[Any], test: str) -> list[Any]:
    """By chance, and each time the same: every third might be one method of three."""
    chosen = Random(test).sample(range(len(tries)), ceil(len(tries) / SHARE))
    return [tries[number] for number in sorted(chosen)]


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
