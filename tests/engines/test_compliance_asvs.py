"""OWASP ASVS 5.0, V3.3 and V7.

Whether ``checksessions`` calls a requirement of ASVS met, by the site's settings alone.
"""

from typing import Any

import pytest
from pytest_django import Settings

from . import compliance_site
from .compliance_site import (
    AUTH_BACKENDS,
    COMPLIANT,
    DJANGO_MIDDLEWARE,
    DJANGOS,
    MET,
    NOT_APPLICABLE,
    NOT_MET,
    NOT_VISIBLE,
    OURS,
    findings,
)

SITE = compliance_site.__name__

# What a compliant site changes, a requirement, its verdict, and a part of the sentence.
CASES: list[tuple[dict[str, Any], str, str, str]] = [
    ({}, "asvs.3.3.1", MET, "__Host-sessionid, __Host-csrftoken, __Host-language"),
    ({"CSRF_COOKIE_SECURE": False}, "asvs.3.3.1", NOT_MET, "Set CSRF_COOKIE_SECURE = True."),
    (
        {"LANGUAGE_COOKIE_NAME": "lang"},
        "asvs.3.3.1",
        NOT_MET,
        'Set LANGUAGE_COOKIE_NAME = "__Host-lang".',
    ),
    (
        {"MESSAGE_STORAGE": "django.contrib.messages.storage.fallback.FallbackStorage"},
        "asvs.3.3.1",
        NOT_MET,
        'Set MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage".',
    ),
    ({"CSRF_USE_SESSIONS": True, "CSRF_COOKIE_SECURE": False}, "asvs.3.3.1", MET, ""),
    ({}, "asvs.3.3.2", MET, "__Host-csrftoken"),
    (
        {"LANGUAGE_COOKIE_SAMESITE": None},
        "asvs.3.3.2",
        NOT_MET,
        'Set LANGUAGE_COOKIE_SAMESITE = "Lax".',
    ),
    ({}, "asvs.3.3.3", MET, ""),
    (
        {"SESSION_COOKIE_NAME": "__Secure-id"},
        "asvs.3.3.3",
        NOT_MET,
        'Set SESSION_COOKIE_NAME = "__Host-id".',
    ),
    (
        {"SESSION_COOKIE_NAME": "__Secure-id", "SESSION_COOKIE_DOMAIN": "example.com"},
        "asvs.3.3.3",
        MET,
        "Of this host alone: __Host-csrftoken, __Host-language",
    ),
    ({}, "asvs.3.3.4", MET, ""),
    ({"SESSION_COOKIE_HTTPONLY": False}, "asvs.3.3.4", NOT_MET, "SESSION_COOKIE_HTTPONLY = True"),
    ({}, "asvs.3.3.5", MET, ""),
    (
        {"SESSION_ENGINE": f"{OURS}signed_cookies", "SESSION_COOKIE_TOO_LARGE_IS_ERROR": True},
        "asvs.3.3.5",
        MET,
        "error",
    ),
    (
        {"SESSION_ENGINE": f"{OURS}signed_cookies", "SESSION_COOKIE_TOO_LARGE_IS_ERROR": False},
        "asvs.3.3.5",
        NOT_MET,
        "Set SESSION_COOKIE_TOO_LARGE_IS_ERROR = True.",
    ),
    (
        {"SESSION_ENGINE": f"{DJANGOS}signed_cookies"},
        "asvs.3.3.5",
        NOT_MET,
        'SESSION_ENGINE = "cookieproj.engines.signed_cookies"',
    ),
    ({}, "asvs.7.1.1", MET, "3600 seconds idle and 86400 in all"),
    ({"SESSION_IDLE_AGE": 3601}, "asvs.7.1.1", NOT_VISIBLE, "why 3601 seconds idle"),
    ({"SESSION_ABSOLUTE_AGE": 86401}, "asvs.7.1.1", NOT_VISIBLE, "86401 in all"),
    ({"SESSION_IDLE_AGE": None}, "asvs.7.1.1", NOT_MET, "Set SESSION_IDLE_AGE = 3600."),
    ({"SESSION_ABSOLUTE_AGE": None}, "asvs.7.1.1", NOT_MET, "Set SESSION_ABSOLUTE_AGE = 86400."),
    ({}, "asvs.7.1.2", MET, "DEVICES_LIMIT = 10: one more ends the session not used for longest."),
    ({"DEVICES_OVER_LIMIT": "refuse"}, "asvs.7.1.2", MET, "is refused"),
    ({"DEVICES_LIMIT": None}, "asvs.7.1.2", NOT_MET, "Set DEVICES_LIMIT = 10."),
    ({"DEVICES_LIMIT": -1}, "asvs.7.1.2", NOT_MET, "Set DEVICES_LIMIT = 10."),
    ({"DEVICES_LIMIT": "nowhere.limit"}, "asvs.7.1.2", NOT_MET, "No module named 'nowhere'"),
    ({"DEVICES_LIMIT": "os.path.join"}, "asvs.7.1.2", MET, "DEVICES_LIMIT = join"),
    ({"SESSION_ENGINE": f"{DJANGOS}signed_cookies"}, "asvs.7.1.2", MET, "is refused"),
    ({}, "asvs.7.1.3", NOT_APPLICABLE, ""),
    ({}, "asvs.7.2.1", MET, "store"),
    ({"SESSION_ENGINE": f"{DJANGOS}signed_cookies"}, "asvs.7.2.1", MET, "signature"),
    ({}, "asvs.7.2.2", MET, ""),
    ({}, "asvs.7.2.3", MET, "165 bits"),
    ({"SESSION_ENGINE": f"{DJANGOS}cache"}, "asvs.7.2.3", MET, "165 bits"),
    ({"SESSION_ENGINE": f"{OURS}signed_cookies"}, "asvs.7.2.3", NOT_APPLICABLE, ""),
    ({"SESSION_ENGINE": SITE}, "asvs.7.2.3", NOT_VISIBLE, "_get_new_session_key"),
    ({}, "asvs.7.2.4", MET, ""),
    ({"SESSION_ENGINE": f"{OURS}signed_cookies"}, "asvs.7.2.4", NOT_MET, "engines.db"),
    ({}, "asvs.7.3.1", MET, "3600 seconds"),
    ({"SESSION_IDLE_AGE": None}, "asvs.7.3.1", NOT_MET, "Set SESSION_IDLE_AGE = 3600."),
    (
        {"SESSION_ENGINE": f"{DJANGOS}cache"},
        "asvs.7.3.1",
        NOT_MET,
        'Set SESSION_ENGINE = "cookieproj.engines.cache"; SESSION_IDLE_AGE = 3600.',
    ),
    ({"MIDDLEWARE": [DJANGO_MIDDLEWARE]}, "asvs.7.3.1", NOT_MET, "Set MIDDLEWARE = [..., "),
    (
        {
            "SESSION_ENGINE": f"{DJANGOS}db",
            "SESSION_SAVE_EVERY_REQUEST": True,
            "SESSION_COOKIE_AGE": 600,
        },
        "asvs.7.3.1",
        MET,
        "600 seconds",
    ),
    ({}, "asvs.7.3.2", MET, "86400 seconds"),
    ({"SESSION_ABSOLUTE_AGE": None}, "asvs.7.3.2", NOT_MET, "SESSION_ABSOLUTE_AGE = 86400"),
    ({"SESSION_ENGINE": f"{DJANGOS}db"}, "asvs.7.3.2", NOT_MET, "cookieproj.engines.db"),
    ({}, "asvs.7.4.1", MET, "deleted"),
    ({"SESSION_ENGINE": f"{OURS}encrypted_cookies"}, "asvs.7.4.1", MET, "REVOCATION_CHECK"),
    (
        {"SESSION_ENGINE": f"{OURS}encrypted_cookies", "SESSION_REVOCATION_CHECK": ""},
        "asvs.7.4.1",
        NOT_MET,
        'Set SESSION_REVOCATION_CHECK = "cookieproj.devices.revocation.is_revoked".',
    ),
    (
        {"SESSION_ENGINE": f"{DJANGOS}signed_cookies"},
        "asvs.7.4.1",
        NOT_MET,
        'Set SESSION_ENGINE = "cookieproj.engines.signed_cookies"; SESSION_REVOCATION_CHECK',
    ),
    ({}, "asvs.7.4.2", MET, ""),
    (
        {"AUTHENTICATION_BACKENDS": [f"{AUTH_BACKENDS}AllowAllUsersModelBackend"]},
        "asvs.7.4.2",
        NOT_MET,
        "AllowAllUsersModelBackend",
    ),
    ({"AUTHENTICATION_BACKENDS": [f"{SITE}.Backend"]}, "asvs.7.4.2", NOT_VISIBLE, "Backend"),
    (
        {"AUTHENTICATION_BACKENDS": [f"{SITE}.Gate", f"{AUTH_BACKENDS}ModelBackend"]},
        "asvs.7.4.2",
        MET,
        "",
    ),
    ({"AUTHENTICATION_BACKENDS": [f"{SITE}.make_backend"]}, "asvs.7.4.2", NOT_VISIBLE, "make"),
    ({"AUTHENTICATION_BACKENDS": ["nowhere.Backend"]}, "asvs.7.4.2", NOT_MET, "Mend this first: "),
    ({}, "asvs.7.4.3", MET, "/devices/"),
    ({}, "asvs.7.4.5", MET, "admin"),
    # With SignOutEverywhereMixin.
    ({"SESSION_ENGINE": f"{DJANGOS}signed_cookies"}, "asvs.7.4.5", MET, "admin"),
    ({}, "asvs.7.5.1", MET, "300 seconds"),
    ({"ROOT_URLCONF": SITE}, "asvs.7.5.1", NOT_VISIBLE, ": /e-mail/, /newPhone/, /otp/"),
    ({"DEVICES_ASK_PASSWORD_AFTER": None}, "asvs.7.5.1", NOT_MET, "_AFTER = 300"),
    ({"DEVICES_ASK_PASSWORD_AFTER": "300"}, "asvs.7.5.1", NOT_MET, "_AFTER = 300"),
    ({"ROOT_URLCONF": "nowhere"}, "asvs.7.5.1", NOT_MET, "No module named 'nowhere'"),
    ({}, "asvs.7.5.2", MET, "/devices/"),
    ({"ROOT_URLCONF": SITE}, "asvs.7.5.2", NOT_MET, "ROOT_URLCONF"),
    (
        {"SESSION_ENGINE": f"{DJANGOS}signed_cookies"},
        "asvs.7.5.2",
        NOT_MET,
        'Set SESSION_ENGINE = "cookieproj.engines.signed_cookies"',
    ),
    ({"DEVICES_ASK_PASSWORD_AFTER": None}, "asvs.7.5.2", NOT_MET, "_AFTER = 300"),
    ({"ROOT_URLCONF": SITE}, "asvs.7.5.3", MET, "again: /pay/, /transfer/"),
    ({"DEVICES_ASK_PASSWORD_AFTER": None}, "asvs.7.5.3", NOT_MET, "_AFTER = 300"),
    ({}, "asvs.7.6.1", NOT_APPLICABLE, ""),
    ({}, "asvs.7.6.2", NOT_APPLICABLE, ""),
    ({"MIDDLEWARE": []}, "asvs.7.2.1", NOT_MET, "SessionMiddleware"),
]


@pytest.mark.parametrize(("changes", "requirement", "verdict", "part"), CASES)
def test_verdict_by_settings(
    changes: dict[str, Any], requirement: str, verdict: str, part: str, settings: Settings
) -> None:
    for name, value in (COMPLIANT | changes).items():
        setattr(settings, name, value)
    found, sentence = findings()[requirement]
    assert found == verdict, sentence
    assert part in sentence
