"""What the generator of a streaming response does to cookies and to the session."""

import pytest
from django.test import Client
from pytest_django import Settings

from tests.families import FAMILIES, IN_COOKIES, run_on
from tests.fault_table import Whose

BOTH = pytest.mark.parametrize("family", FAMILIES)


def streamed(client: Client, path: str) -> str:
    return client.post(path).getvalue().decode()


def test_cookie_of_the_generator_is_lost(client: Client) -> None:
    client.get("/streaming/late-cookie/")
    assert set(client.cookies) == {"early"}


@BOTH
def test_change_in_the_generator_is_lost(
    family: Whose, profile: str, client: Client, settings: Settings
) -> None:
    run_on(settings, family, profile)
    client.post("/sessions/set-item/")
    for _ in range(3):
        assert streamed(client, "/streaming/unsaved/").endswith(": 1\n")


@BOTH
def test_generator_saves_a_session_that_has_begun(
    family: Whose, profile: str, client: Client, settings: Settings
) -> None:
    run_on(settings, family, profile)
    numbers = [streamed(client, "/streaming/saved/").split()[-1] for _ in range(3)]
    assert numbers == (["1", "1", "1"] if profile in IN_COOKIES else ["1", "2", "3"])
