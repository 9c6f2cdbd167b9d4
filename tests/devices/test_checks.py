"""The app's system checks: what a site has forgotten."""

from unittest import mock

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

from cookieproj.devices import checks
from cookieproj.devices.middleware import DevicesMiddleware
from demo.models import User
from tests.browsers import browser

OURS = "cookieproj.devices.middleware.DevicesMiddleware"


def ids() -> list[str]:
    return [str(each.id) for each in run_checks() if str(each.id).startswith("devices.")]


def test_this_site_has_forgotten_nothing() -> None:
    assert ids() == []
    deployed = run_checks(tags=["security"], include_deployment_checks=True)
    assert "devices.I001" not in [each.id for each in deployed]


def test_the_middleware_is_missing(settings: Settings) -> None:
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != OURS]
    assert ids() == ["devices.E001"]


def test_the_middleware_stands_too_early(settings: Settings) -> None:
    settings.MIDDLEWARE = [OURS, *(name for name in settings.MIDDLEWARE if name != OURS)]
    assert ids() == ["devices.E002"]


class Site(DevicesMiddleware):
    """A subclass of a site's own is one as well."""


def test_a_subclass_will_do(settings: Settings) -> None:
    own = f"{__name__}.Site"
    settings.MIDDLEWARE = [own if name == OURS else name for name in settings.MIDDLEWARE]
    assert ids() == []


def test_a_package_is_missing() -> None:
    with mock.patch.object(checks, "find_spec", return_value=None):
        [found] = checks.packages_are_installed()
    assert (found.id, found.msg) == (
        "devices.E003", "cookieproj.devices needs cryptography, ua-parser."
    )  # fmt: skip


@pytest.mark.parametrize("previous", ["", "cookieproj.engines.signed_cookies"])
def test_a_copy_of_a_cookie_is_not_refused(previous: str, settings: Settings) -> None:
    settings.SESSION_ENGINE = (
        "cookieproj.engines.db" if previous else "cookieproj.engines.signed_cookies"
    )
    settings.SESSION_HANDOVER_FROM = previous
    assert ids() == []
    del settings.SESSION_REVOCATION_CHECK
    assert ids() == ["devices.W001"]


def test_what_is_no_engine_is_told_by_another_check(settings: Settings, ada: User) -> None:
    browser(ada)
    settings.SESSION_ENGINE = "nothing"
    assert ids() == []
