"""What the generator of a streaming response does to cookies and to the session."""

import pytest
from django.test import Client
from pytest_django import Settings

from tests.families import FAMILIES, IN_COOKIES, run_on
from tests.fault_table import Whose

WHOSE = pytest.mark.parametrize("whose", FAMILIES)


def streamed(client: Client, path: str) -> str:
    return client.post(path).getvalue().decode()


def test_cookie_of_the_generator_is_lost(client: Client) -> None:
    client.get("/streaming/late-cookie/")
    assert set(client.cookies) == {"early"}


@WHOSE
def test_change_in_the_generator_is_lost(
    whose: Whose, profile: str, client: Client, settings: Settings
) -> None:
    run_on(settings, whose, profile)
    for _ in range(3):
        assert streamed(client, "/streaming/unsaved/").endswith(": 1\n")


@WHOSE
def test_generator_saves_a_session_that_has_begun(
    whose: Whose, profile: str, client: Client, settings: Settings
) -> None:
    run_on(settings, whose, profile)
    numbers = [streamed(client, "/streaming/saved/").split()[-1] for _ in range(3)]
    assert numbers == (["1", "1", "1"] if profile in IN_COOKIES else ["1", "2", "3"])
