"""The system check for settings with which browsers refuse a cookie."""

from typing import Any

import pytest
from django.core.checks import run_checks
from django.http import HttpResponse
from pytest_django import Settings

from cookieproj.engines.cookie_checks import cookies_are_kept
from demo import checks, login_auth

FAMILIES = ["SESSION_COOKIE", "CSRF_COOKIE", "LANGUAGE_COOKIE"]
HOST = {"SECURE": True, "PATH": "/", "DOMAIN": None}


@pytest.fixture(autouse=True)
def hosts(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["shop.example.com", "10.0.0.1"]


def errors_of(settings: Settings, family: str, **values: Any) -> list[str]:
    """Set these values of a family of settings, and return the numbers of the check's errors."""
    for name, value in values.items():
        setattr(settings, f"{family}_{name}", value)
    errors = cookies_are_kept()
    assert all(f"{family}_*" in str(error.hint) for error in errors)
    return [str(error.id).removeprefix("cookies.") for error in errors]


def test_cookies_of_this_site_are_valid() -> None:
    assert cookies_are_kept() == []
    assert checks.login_cookie_is_accepted() == []


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("write", [str, str.lower, str.upper])
@pytest.mark.parametrize(
    ("prefix", "values"),
    [
        ("__Secure-", {"SECURE": True}),
        ("__Host-", HOST),
        ("__Http-", {"SECURE": True, "HTTPONLY": True}),
        ("__Host-Http-", HOST | {"HTTPONLY": True}),
    ],
)
def test_name_prefix_requires_its_attributes(
    settings: Settings, family: str, prefix: str, values: dict[str, Any], write: Any
) -> None:
    name = f"{write(prefix)}name"
    assert errors_of(settings, family, NAME=name, **values) == []
    invalid = {"SECURE": False, "HTTPONLY": False, "PATH": "/shop/", "DOMAIN": "example.com"}
    for required in values:
        changed = values | {required: invalid[required]}
        assert errors_of(settings, family, NAME=name, **changed) == ["E001"], required


def test_message_names_missing_attributes(settings: Settings) -> None:
    settings.SESSION_COOKIE_NAME = "__Host-Http-sessionid"
    settings.SESSION_COOKIE_HTTPONLY = False
    settings.SESSION_COOKIE_PATH = "/shop/"
    settings.SESSION_COOKIE_DOMAIN = "example.com"
    [error] = cookies_are_kept()
    assert error.msg.endswith("its prefix requires Secure, HttpOnly, Path=/, no Domain.")


@pytest.mark.parametrize("family", FAMILIES)
def test_samesite_none_requires_secure(settings: Settings, family: str) -> None:
    assert errors_of(settings, family, SAMESITE="None") == ["E002"]
    assert errors_of(settings, family, SAMESITE="none") == ["E002"]
    assert errors_of(settings, family, SECURE=True) == []
    assert errors_of(settings, family, SECURE=False, SAMESITE=False) == []


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("hosts", "domain", "is_kept"),
    [
        (["shop.example.com"], "shop.example.com", True),
        (["shop.example.com"], ".Example.COM", True),
        (["shop.example.com"], "com", False),
        (["shop.example.com"], "other.example.com", False),
        (["shop.example.com"], "ample.com", False),
        (["shop.example.com"], "a.shop.example.com", False),
        (["shop.example.com"], "example.org", False),
        (["shop.example.com"], "https://example.com", False),
        (["shop.example.com"], "example.com:8000", False),
        ([".example.com"], "example.com", True),
        ([".example.com"], "shop.example.com", True),
        ([".example.com"], "com", False),
        ([".example.com"], "example.org", False),
        (["10.0.0.1"], "10.0.0.1", True),
        (["10.0.0.1"], "0.0.1", False),
        (["10.0.0.1", "example.com"], "example.com", True),
        (["*"], "example.com", True),
        (["*"], "com", False),
        (["intranet"], "intranet", True),
        ([], "localhost", True),
        ([], "example.com", False),
    ],
)
def test_domain_must_be_a_domain_of_an_allowed_host(
    settings: Settings, family: str, hosts: list[str], domain: str, is_kept: bool
) -> None:
    settings.DEBUG = True
    settings.ALLOWED_HOSTS = hosts
    assert errors_of(settings, family, DOMAIN=domain) == ([] if is_kept else ["E003"])


@pytest.mark.parametrize("family", FAMILIES)
def test_name_and_path_that_exceed_4096_bytes_are_an_error(settings: Settings, family: str) -> None:
    path = f"/{'x' * 3000}"
    assert errors_of(settings, family, PATH=path, NAME="n" * 500) == []
    assert errors_of(settings, family, PATH=path, NAME="n" * 1500) == ["E004"]
    assert errors_of(settings, family, PATH="/", NAME="n" * 4096) == ["E004"]


def test_size_includes_the_session_key(settings: Settings) -> None:
    response = HttpResponse()
    response.set_cookie("n", max_age=settings.SESSION_COOKIE_AGE, httponly=True, samesite="Lax")
    # An empty value is written as two quotation marks.
    rest = 4096 - 32 - len(response.cookies["n"].OutputString().replace('n=""', "="))
    assert errors_of(settings, "SESSION_COOKIE", NAME="n" * rest) == []
    assert errors_of(settings, "SESSION_COOKIE", NAME="n" * (rest + 1)) == ["E004"]


@pytest.mark.parametrize("values", [{"NAME": "a b"}, {"SAMESITE": "Loose"}])
def test_values_that_django_refuses_are_an_error(
    settings: Settings, values: dict[str, str]
) -> None:
    assert errors_of(settings, "SESSION_COOKIE", **values) == ["E005"]


def test_cookies_that_are_not_used_are_not_checked(settings: Settings) -> None:
    settings.CSRF_COOKIE_SAMESITE = settings.LANGUAGE_COOKIE_SAMESITE = "None"
    assert len(cookies_are_kept()) == 2
    settings.CSRF_USE_SESSIONS = True
    settings.USE_I18N = False
    assert cookies_are_kept() == []


def test_login_cookie_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_auth, "LOGIN_COOKIE", "__Http-login_auth")
    [error] = checks.login_cookie_is_accepted()
    assert (error.id, "set_login_cookie" in str(error.hint)) == ("cookies.E001", True)


def test_check_is_registered(settings: Settings) -> None:
    settings.LANGUAGE_COOKIE_NAME = "__Host-language"
    assert "cookies.E001" in {message.id for message in run_checks()}
