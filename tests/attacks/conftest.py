"""Each attack is made on the whole site: on our engines, and on Django's where they decide."""

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from cookieproj.profiles import PROFILES
from tests.conftest import forget_folder
from tests.families import run_on
from tests.fault_table import WHOSE, Held, Whose
from tests.tiers import function, is_fast, parameters

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


# Of what the suite tries, each profile tries a share in the fast tier: together they try all.
SHARES = len(PROFILES)


@pytest.fixture
def some(request: pytest.FixtureRequest) -> Some:
    """All of them with --long, else every so many; of these a share in the fast tier."""

    def some(tries: Iterable[Any], every: int = 1) -> list[Any]:
        found = list(tries)[:: 1 if request.config.getoption("--long") else every]
        if not is_fast(request.config):
            return found
        return share(found, function(request.node), parameters(request.node).get("profile", ""))

    return some


def share(tries: list[Any], test: str, profile: str) -> list[Any]:
    """By chance, and each time the same: every fifth might be one method of five."""
    shuffled = Random(test).sample(range(len(tries)), len(tries))
    turn = PROFILES.index(profile) if profile else 0
    # Each has some, where they are fewer than the profiles.
    turn %= len(tries) or 1
    return [tries[number] for number in sorted(shuffled[turn::SHARES])]


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
