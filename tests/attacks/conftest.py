"""Each attack is on the whole site: on our engines, and on Django's if the engine matters."""

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
from tests.fault_table import WHOSE, Tally, Whose
from tests.tiers import function, is_fast, parameters

Sample = Callable[..., list[Any]]
Report = Callable[..., None]
Send = Callable[..., HttpResponse]


@pytest.fixture(params=WHOSE)
def whose(request: pytest.FixtureRequest, profile: str, settings: Settings) -> Whose:
    """The engine of the profile: ours, or Django's with Django's middleware."""
    owner: Whose = request.param
    run_on(settings, owner, profile)
    forget_folder()
    return owner


# In the fast tier each profile makes a share of the attacks. Together they make all of them.
SHARES = len(PROFILES)


@pytest.fixture
def sample(request: pytest.FixtureRequest) -> Sample:
    """Return all tries with --long, otherwise every n-th; in the fast tier a share of those."""

    def sample(tries: Iterable[Any], every: int = 1) -> list[Any]:
        sampled = list(tries)[:: 1 if request.config.getoption("--long") else every]
        if not is_fast(request.config):
            return sampled
        return share(sampled, function(request.node), parameters(request.node).get("profile", ""))

    return sample


def share(tries: list[Any], test: str, profile: str) -> list[Any]:
    """Return a random share that is the same in each run."""
    shuffled = Random(test).sample(range(len(tries)), len(tries))
    turn = PROFILES.index(profile) if profile else 0
    # With fewer tries than profiles, each profile still gets one.
    turn %= len(tries) or 1
    return [tries[number] for number in sorted(shuffled[turn::SHARES])]


@pytest.fixture
def report(tally: Tally) -> Report:
    """Record the tries and those that succeeded. On our engines none may succeed."""

    def report(
        what: str, tries: Iterable[Any], succeeded: Iterable[Any], whose: Whose = "ours"
    ) -> None:
        tries, succeeded = list(tries), list(succeeded)
        tally(what, whose, len(tries), len(succeeded))
        assert tries
        assert whose == "Django's" or succeeded == []

    return report


@pytest.fixture
def send() -> Send:
    """Send a request with exactly that Cookie header, and no cookie of earlier responses."""
    client = Client(raise_request_exception=False)

    def send(path: str, cookie: str = "", method: str = "GET", **form: Any) -> HttpResponse:
        client.cookies.clear()
        # WSGI passes bytes on as Latin-1.
        header = cookie.encode(errors="surrogateescape").decode("latin-1")
        response: Any = getattr(client, method.lower())(path, form, headers={"cookie": header})
        return response  # type: ignore[no-any-return]

    return send
