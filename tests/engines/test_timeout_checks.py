"""The system checks of SESSION_IDLE_AGE and SESSION_ABSOLUTE_AGE."""

from typing import Any

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

from cookieproj.engines.constants import DJANGO_ENGINES, OUR_ENGINES

OUR_MIDDLEWARE = "cookieproj.engines.middleware.SessionMiddleware"
DJANGOS_MIDDLEWARE = "django.contrib.sessions.middleware.SessionMiddleware"

NAMES = ["SESSION_IDLE_AGE", "SESSION_ABSOLUTE_AGE"]


def ids() -> list[str]:
    """The ids of the checks of timeouts that report something."""
    ours = {"engines.E011", "engines.E012", "engines.W014", "engines.W015", "engines.W016"}
    return sorted(message.id for message in run_checks() if message.id in ours)


@pytest.fixture(autouse=True)
def site(settings: Settings) -> None:
    settings.SESSION_ENGINE = f"{OUR_ENGINES}file"
    settings.MIDDLEWARE = [OUR_MIDDLEWARE]


@pytest.mark.parametrize("name", NAMES)
def test_right_settings_are_not_reported(name: str, settings: Settings) -> None:
    assert ids() == []
    setattr(settings, name, 900)
    assert ids() == []


@pytest.mark.parametrize("value", ["900", 0, 1.5])
@pytest.mark.parametrize("name", [*NAMES, "SESSION_RENEW_AGE"])
def test_wrong_value_is_an_error(name: str, value: Any, settings: Settings) -> None:
    setattr(settings, name, value)
    assert ids() == ["engines.E011"]


@pytest.mark.parametrize("name", NAMES)
def test_engine_without_timeouts_is_an_error(name: str, settings: Settings) -> None:
    settings.SESSION_ENGINE = f"{DJANGO_ENGINES}file"
    assert ids() == []
    setattr(settings, name, 900)
    assert ids() == ["engines.E012"]


def test_middleware_that_renews_nothing_is_a_warning(settings: Settings) -> None:
    settings.MIDDLEWARE = [DJANGOS_MIDDLEWARE, "no.such.middleware"]
    settings.SESSION_ABSOLUTE_AGE = 901
    assert ids() == []
    settings.SESSION_IDLE_AGE = 900
    assert ids() == ["engines.W014"]
    settings.SESSION_SAVE_EVERY_REQUEST = True
    assert ids() == []


def test_each_wrong_value_is_reported(settings: Settings) -> None:
    for name in (*NAMES, "SESSION_RENEW_AGE"):
        setattr(settings, name, 0)
    assert ids() == ["engines.E011"] * 3


@pytest.mark.parametrize(
    ("absolute", "reported"), [(899, ["engines.W015"]), (900, ["engines.W015"]), (901, [])]
)
def test_idle_age_that_never_applies_is_a_warning(
    absolute: int, reported: list[str], settings: Settings
) -> None:
    settings.SESSION_IDLE_AGE, settings.SESSION_ABSOLUTE_AGE = 900, absolute
    assert ids() == reported


def test_copies_are_noticed_only_if_keys_are_renewed(settings: Settings) -> None:
    settings.SESSION_END_COPIED = True
    assert ids() == ["engines.W016"]
    settings.SESSION_RENEW_AGE = 3600
    assert ids() == []
