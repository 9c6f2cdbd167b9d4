"""The system checks of DEVICES_BOUND."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.checks import run_checks
from django.urls import clear_script_prefix, set_script_prefix
from pytest_django import Settings

from cookieproj.devices.bound.middleware import BoundSessionsMiddleware


@pytest.fixture(autouse=True)
def offered(settings: Settings) -> None:
    settings.DEVICES_BOUND = "offer"
    settings.SESSION_COOKIE_SECURE = True


@pytest.fixture(autouse=True)
def script_prefix() -> Iterator[None]:
    yield
    clear_script_prefix()


def found(*, deploy: bool = False) -> set[str]:
    numbers = [
        *(f"devices.E{number:03}" for number in range(11, 17)),
        *(f"devices.W{number:03}" for number in range(5, 11)),
    ]
    ids = {str(message.id) for message in run_checks(include_deployment_checks=deploy)}
    return ids & set(numbers)


def by_user(user: Any) -> str | None:
    return None


@pytest.mark.parametrize("value", ["offer", "require", None, by_user, f"{__name__}.by_user"])
def test_valid_values_are_accepted(value: Any, settings: Settings) -> None:
    settings.DEVICES_BOUND = value
    assert found(deploy=True) == set()


@pytest.mark.parametrize("value", ["on", True, 1, ["offer"], "tests.nowhere.by_user"])
def test_other_values_are_reported(value: Any, settings: Settings) -> None:
    settings.DEVICES_BOUND = value
    assert found() == {"devices.E011"}


def test_function_that_cannot_be_imported_says_why(settings: Settings) -> None:
    settings.DEVICES_BOUND = "tests.nowhere.by_user"
    [error] = [message for message in run_checks() if message.id == "devices.E011"]
    assert error.msg.endswith("cannot be imported: No module named 'tests.nowhere'.")


def test_middleware_without_the_setting_is_warned_of(settings: Settings) -> None:
    settings.DEVICES_BOUND = None
    assert found() == set()
    # As if it were misspelt.
    del settings.DEVICES_BOUND
    assert found() == {"devices.W010"}
    settings.MIDDLEWARE = [path for path in settings.MIDDLEWARE if "BoundSessions" not in path]
    assert found() == set()


@pytest.mark.parametrize("value", [0, -1, "300", None, True])
def test_age_is_a_positive_number(value: Any, settings: Settings) -> None:
    settings.DEVICES_BOUND_AGE = value
    assert found() == {"devices.E012"}


def test_missing_package_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cookieproj.devices.bound.checks.find_spec", lambda name: None)
    assert found() == {"devices.E013"}


def test_middleware_must_stand_before_that_of_sessions(settings: Settings) -> None:
    ours = "cookieproj.devices.bound.middleware.BoundSessionsMiddleware"
    others = [path for path in settings.MIDDLEWARE if path != ours]
    settings.MIDDLEWARE = others
    assert found() == {"devices.E014"}
    settings.MIDDLEWARE = [*others, ours]
    assert found() == {"devices.E014"}
    settings.MIDDLEWARE = [ours, *others]
    assert found() == set()


def test_engine_and_middleware_of_django_open_bound_sessions_without_their_cookie(
    settings: Settings,
) -> None:
    settings.MIDDLEWARE = [
        path.replace("cookieproj.engines", "django.contrib.sessions")
        for path in settings.MIDDLEWARE
    ]
    assert "devices.E014" in found()


def test_engine_of_django_is_reported(settings: Settings) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    assert found() == {"devices.E014"}


def test_missing_urls_are_reported(settings: Settings) -> None:
    settings.ROOT_URLCONF = "demo.urls"
    assert "devices.E015" in found()


def test_cookie_of_several_hosts_is_reported(settings: Settings) -> None:
    settings.SESSION_COOKIE_DOMAIN = "example.com"
    assert found() == {"devices.E016"}


def test_cookie_that_is_sent_over_http_is_warned_of(settings: Settings) -> None:
    settings.SESSION_COOKIE_SECURE = False
    assert (found(), found(deploy=True)) == (set(), {"devices.W005"})


def test_required_binding_without_https_is_warned_of_in_development_too(
    settings: Settings,
) -> None:
    settings.SESSION_COOKIE_SECURE = False
    settings.DEVICES_BOUND = "require"
    assert found() == found(deploy=True) == {"devices.W009"}


@pytest.mark.parametrize("path", ["/", "/devices", "/devices/", "/devices/bound"])
def test_cookie_that_the_two_views_get_is_accepted(path: str, settings: Settings) -> None:
    settings.SESSION_COOKIE_PATH = path
    assert found() == set()


@pytest.mark.parametrize("path", ["/shop/", "/dev", "/devices/bound/register/"])
def test_cookie_that_one_of_the_two_views_does_not_get_is_warned_of(
    path: str, settings: Settings
) -> None:
    settings.SESSION_COOKIE_PATH = path
    assert found() == {"devices.W008"}


def test_prefix_of_the_site_counts(settings: Settings) -> None:
    settings.SESSION_COOKIE_PATH = "/shop/"
    set_script_prefix("/shop/")
    assert found() == set()


def test_site_that_binds_no_sessions_is_left_alone(settings: Settings) -> None:
    settings.DEVICES_BOUND = None
    settings.MIDDLEWARE = []
    settings.SESSION_COOKIE_DOMAIN = "example.com"
    settings.SESSION_COOKIE_PATH = "/shop/"
    assert found(deploy=True) == set()


class Subclass(BoundSessionsMiddleware):
    pass


def test_subclass_of_the_middleware_is_accepted(settings: Settings) -> None:
    ours = "cookieproj.devices.bound.middleware.BoundSessionsMiddleware"
    settings.MIDDLEWARE = [
        f"{__name__}.Subclass" if path == ours else path for path in settings.MIDDLEWARE
    ]
    assert found() == set()


@pytest.mark.parametrize(("age", "reported"), [(299, {"devices.W006"}), (300, set())])
def test_age_at_which_browsers_refuse_to_renew_is_warned_of(
    age: int, reported: set[str], settings: Settings
) -> None:
    settings.DEVICES_BOUND_AGE = age
    assert found() == reported


@pytest.mark.parametrize(
    ("engine", "backend", "reported"),
    [
        ("signed_cookies", "dummy.DummyCache", {"devices.W007"}),
        ("encrypted_cookies", "locmem.LocMemCache", {"devices.W007"}),
        ("signed_cookies", "redis.RedisCache", set()),
        ("db", "dummy.DummyCache", set()),
    ],
)
def test_cache_that_does_not_keep_used_challenges_is_warned_of(
    engine: str, backend: str, reported: set[str], settings: Settings
) -> None:
    settings.SESSION_ENGINE = f"cookieproj.engines.{engine}"
    settings.CACHES = settings.CACHES | {
        "default": {"BACKEND": f"django.core.cache.backends.{backend}", "LOCATION": "redis://x/0"}
    }
    assert found() == reported
