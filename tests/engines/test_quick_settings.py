"""A setting read by ``quick_settings`` is always the one that Django's ``settings`` has."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from unittest import mock

import pytest
from django.conf import Settings
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from cookieproj.engines import quick_settings
from cookieproj.engines.quick_settings import setting, setting_or

NAME = "SESSION_COOKIE_AGE"
MISSING = "SESSION_OF_NOBODY"


def assert_is_django_s(expected: Any) -> None:
    # Twice: the first look-up may be the one that Django's cache is filled by.
    for _ in range(2):
        assert setting(NAME) == django_settings.SESSION_COOKIE_AGE == expected
        assert setting_or(NAME, None) == expected


def test_overridden_setting_counts_at_once() -> None:
    before = django_settings.SESSION_COOKIE_AGE
    assert_is_django_s(before)
    with override_settings(SESSION_COOKIE_AGE=5):
        assert_is_django_s(5)
        with override_settings(SESSION_COOKIE_AGE=6):
            assert_is_django_s(6)
        assert_is_django_s(5)
    assert_is_django_s(before)


def test_assigned_setting_counts_at_once() -> None:
    with override_settings():
        assert_is_django_s(django_settings.SESSION_COOKIE_AGE)
        django_settings.SESSION_COOKIE_AGE = 7
        assert_is_django_s(7)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_missing_setting_is_the_default(depth: int) -> None:
    contexts: list[AbstractContextManager[Any]] = [override_settings(), override_settings(A=1)]
    with contexts[0] if depth else nullcontext(), contexts[1] if depth > 1 else nullcontext():
        assert setting_or(MISSING, "default") == "default"
        with pytest.raises(AttributeError):
            setting(MISSING)
        with override_settings(**{MISSING: None}):
            assert setting_or(MISSING, "default") is None
        assert setting_or(MISSING, "default") == "default"


def test_assigned_missing_setting_counts_at_once() -> None:
    with override_settings():
        assert setting_or(MISSING, 1) == 1
        setattr(django_settings, MISSING, 2)
        assert setting_or(MISSING, 1) == 2
        delattr(django_settings, MISSING)
        assert setting_or(MISSING, 1) == 1


def test_deleted_setting_is_missing() -> None:
    with override_settings():
        del django_settings.SESSION_COOKIE_AGE
        assert setting_or(NAME, "default") == "default"
        with pytest.raises(AttributeError):
            setting(NAME)


def test_empty_secret_key_is_refused() -> None:
    for read in (setting, lambda name: setting_or(name, "")):
        with override_settings(SECRET_KEY=""), pytest.raises(ImproperlyConfigured):
            read("SECRET_KEY")


def test_setting_of_the_class_counts() -> None:
    """As of a package that adds computed settings to Django's class."""
    with mock.patch.object(Settings, MISSING, 1, create=True):
        assert setting_or(MISSING, 2) == getattr(django_settings, MISSING) == 1


CODE = """
import sys
from cookieproj.engines.quick_settings import setting, setting_or
from django.conf import settings
settings.configure(SESSION_COOKIE_AGE=3)
print(setting("SESSION_COOKIE_AGE"), setting("SESSION_COOKIE_NAME"), setting_or("NOTHING", "no"))
"""


def test_settings_may_be_configured_after_the_import() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", CODE], check=True, capture_output=True, text=True
    )
    assert answer.stdout.split() == ["3", "sessionid", "no"]


class OtherSettings:
    """As of a package that replaces Django's object: its values change without notice."""

    value = 1

    def __getattr__(self, name: str) -> Any:
        if name == NAME:
            return self.value
        raise AttributeError(name)


@pytest.mark.parametrize("read", [setting, lambda name: setting_or(name, None)])
def test_other_object_is_asked_each_time(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[str], Any]
) -> None:
    other = OtherSettings()
    monkeypatch.setattr(quick_settings, "settings", other)
    monkeypatch.setattr(quick_settings, "_cached", {})
    assert read(NAME) == 1
    other.value = 2
    assert read(NAME) == 2
    assert setting_or(MISSING, "default") == "default"
