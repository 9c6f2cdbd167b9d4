"""The app's system checks."""

from datetime import timedelta
from unittest import mock

import pytest
from django.core.checks import CheckMessage, run_checks
from pytest_django import Settings

from cookieproj.devices import checks
from cookieproj.devices.middleware import DevicesMiddleware
from demo.models import User
from tests.browsers import browser

OURS = "cookieproj.devices.middleware.DevicesMiddleware"


def ids() -> list[str]:
    return [str(each.id) for each in run_checks() if str(each.id).startswith("devices.")]


def checks_with_id(check_id: str) -> list[CheckMessage]:
    return [each for each in run_checks() if each.id == check_id]


def test_demo_site_passes_all_checks() -> None:
    assert ids() == []
    deployed = run_checks(tags=["security"], include_deployment_checks=True)
    assert "devices.I001" not in [each.id for each in deployed]


def test_missing_middleware_is_an_error(settings: Settings) -> None:
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != OURS]
    assert ids() == ["devices.E001"]


def test_middleware_listed_too_early_is_an_error(settings: Settings) -> None:
    settings.MIDDLEWARE = [OURS, *(name for name in settings.MIDDLEWARE if name != OURS)]
    assert ids() == ["devices.E002"]


class CustomMiddleware(DevicesMiddleware): ...


def test_subclass_of_the_middleware_is_accepted(settings: Settings) -> None:
    custom = f"{__name__}.CustomMiddleware"
    settings.MIDDLEWARE = [custom if name == OURS else name for name in settings.MIDDLEWARE]
    assert ids() == []


def test_missing_package_is_an_error() -> None:
    with mock.patch.object(checks, "find_spec", return_value=None):
        [error] = checks.packages_are_installed()
    assert (error.id, error.msg) == (
        "devices.E003", "cookieproj.devices needs cryptography, ua-parser."
    )  # fmt: skip


@pytest.mark.parametrize("previous", ["", "cookieproj.engines.signed_cookies"])
def test_cookie_sessions_without_revocation_check_are_a_warning(
    previous: str, settings: Settings
) -> None:
    settings.SESSION_ENGINE = (
        "cookieproj.engines.db" if previous else "cookieproj.engines.signed_cookies"
    )
    settings.SESSION_HANDOVER_FROM = previous
    assert ids() == []
    del settings.SESSION_REVOCATION_CHECK
    assert ids() == ["devices.W001"]


@pytest.mark.parametrize("limit", [0, -1, True, "x", "os.path.nothing", 2.5])
def test_wrong_limit_is_an_error(limit: object, settings: Settings) -> None:
    settings.DEVICES_LIMIT = limit
    [error] = checks_with_id("devices.E007")
    assert repr(limit) in error.msg
    assert "positive number" in str(error.hint)


@pytest.mark.parametrize("limit", [None, 1, lambda _user: 1, "os.path.join"])
def test_limit_may_be_a_number_or_a_function(limit: object, settings: Settings) -> None:
    settings.DEVICES_LIMIT = limit
    assert ids() == []


def test_wrong_value_over_the_limit_is_an_error(settings: Settings) -> None:
    settings.DEVICES_OVER_LIMIT = "end_newest"
    [error] = checks_with_id("devices.E008")
    assert '"end_oldest" or "refuse"' in str(error.hint)


@pytest.mark.parametrize("seconds", ["300", 2.5, True, -1, timedelta(minutes=5)])
def test_wrong_time_to_ask_the_password_is_an_error(seconds: object, settings: Settings) -> None:
    settings.DEVICES_ASK_PASSWORD_AFTER = seconds
    [error] = checks_with_id("devices.E009")
    assert repr(seconds) in error.msg


@pytest.mark.parametrize("proxies", ["one", "1", None, -1, 1.5, True])
def test_wrong_number_of_proxies_is_an_error(proxies: object, settings: Settings) -> None:
    settings.DEVICES_PROXIES = proxies
    [error] = checks_with_id("devices.E010")
    assert repr(proxies) in error.msg


@pytest.mark.parametrize("seconds", [None, 0, 300])
def test_password_may_be_asked_for_always_or_never(seconds: object, settings: Settings) -> None:
    settings.DEVICES_ASK_PASSWORD_AFTER = seconds
    assert ids() == []


@pytest.mark.parametrize("family", ["django.contrib.sessions.backends.", "cookieproj.engines."])
def test_engine_that_cannot_end_the_oldest_is_a_warning(family: str, settings: Settings) -> None:
    settings.SESSION_ENGINE = f"{family}signed_cookies"
    settings.DEVICES_LIMIT = 1
    del settings.SESSION_REVOCATION_CHECK
    [warning] = checks_with_id("devices.W003")
    assert "is refused" in warning.msg
    settings.DEVICES_OVER_LIMIT = "refuse"
    assert "devices.W003" not in ids()


@pytest.mark.parametrize("setting", ["DEVICES_NEW_DEVICE_EMAIL", "DEVICES_COPIED_EMAIL"])
def test_email_without_a_field_is_a_warning(setting: str, settings: Settings) -> None:
    setattr(settings, setting, True)
    assert ids() == []
    with mock.patch.object(User, "EMAIL_FIELD", "mail"):
        [warning] = checks_with_id("devices.W004")
    assert setting in warning.msg


def test_unimportable_engine_is_left_to_other_checks(settings: Settings, ada: User) -> None:
    browser(ada)
    settings.SESSION_ENGINE = "nothing"
    settings.DEVICES_LIMIT = 1
    assert ids() == []
