"""NIST SP 800-63B-4.

Whether ``checksessions`` calls a requirement of NIST met, by the site's settings alone.
"""

from typing import Any

import pytest
from pytest_django import Settings

from . import compliance_site
from .compliance_site import (
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
    ({}, "nist.2.1.3-overall", MET, "86400"),
    ({"SESSION_ABSOLUTE_AGE": 2592001}, "nist.2.1.3-overall", NOT_MET, "_AGE = 2592000."),
    ({}, "nist.2.2.3-overall", MET, "86400"),
    ({"SESSION_ABSOLUTE_AGE": 86401}, "nist.2.2.3-overall", NOT_MET, "_AGE = 86400."),
    ({}, "nist.2.2.3-inactivity", MET, "3600"),
    ({"SESSION_IDLE_AGE": 3601}, "nist.2.2.3-inactivity", NOT_MET, "_AGE = 3600."),
    ({"SESSION_ABSOLUTE_AGE": 43200}, "nist.2.3.3-overall", MET, "43200"),
    ({}, "nist.2.3.3-overall", NOT_MET, "_AGE = 43200."),
    ({"SESSION_IDLE_AGE": 900}, "nist.2.3.3-inactivity", MET, "900"),
    ({}, "nist.2.3.3-inactivity", NOT_MET, "_AGE = 900."),
    ({}, "nist.5.1-secret", MET, ""),
    ({"MIDDLEWARE": [DJANGO_MIDDLEWARE]}, "nist.5.1-secret", NOT_MET, "AuthenticationMiddleware"),
    ({"SESSION_EXPIRE_AT_BROWSER_CLOSE": True}, "nist.5.1-persistent", MET, ""),
    ({}, "nist.5.1-persistent", NOT_MET, "Set SESSION_EXPIRE_AT_BROWSER_CLOSE = True."),
    ({}, "nist.5.1-remembered", NOT_VISIBLE, ""),
    ({}, "nist.5.1-level", NOT_APPLICABLE, ""),
    ({}, "nist.5.1-1", MET, ""),
    ({"MIDDLEWARE": [DJANGO_MIDDLEWARE]}, "nist.5.1-1", NOT_MET, "AuthenticationMiddleware"),
    ({}, "nist.5.1-2", NOT_VISIBLE, "165 bits"),
    ({}, "nist.5.1-3", MET, ""),
    ({"SESSION_ENGINE": f"{DJANGOS}signed_cookies"}, "nist.5.1-3", NOT_MET, "REVOCATION_CHECK"),
    ({}, "nist.5.1-4", MET, "__Host-sessionid"),
    ({"SESSION_COOKIE_SECURE": False}, "nist.5.1-4", NOT_MET, "SESSION_COOKIE_SECURE = True"),
    ({}, "nist.5.1-5", MET, ""),
    ({"SESSION_ABSOLUTE_AGE": None}, "nist.5.1-5", NOT_MET, "Set SESSION_ABSOLUTE_AGE."),
    ({}, "nist.5.1-6", NOT_VISIBLE, ""),
    ({"SESSION_COOKIE_SECURE": False}, "nist.5.1-6", NOT_MET, "SESSION_COOKIE_SECURE = True"),
    ({}, "nist.5.1-erased", MET, ""),
    ({"MIDDLEWARE": []}, "nist.5.1-erased", NOT_MET, "SessionMiddleware"),
    ({}, "nist.5.1-storage", MET, ""),
    ({"SESSION_COOKIE_HTTPONLY": False}, "nist.5.1-storage", NOT_MET, "HTTPONLY = True"),
    ({}, "nist.5.1-fallback", MET, ""),
    (
        {"SECURE_SSL_REDIRECT": False, "SESSION_COOKIE_SECURE": False},
        "nist.5.1-fallback",
        NOT_MET,
        "Set SESSION_COOKIE_SECURE = True; SECURE_SSL_REDIRECT = True.",
    ),
    ({}, "nist.5.1-csrf", NOT_VISIBLE, "/payment/"),
    ({"ROOT_URLCONF": SITE}, "nist.5.1-csrf", MET, ""),
    ({"ROOT_URLCONF": "cookieproj.devices.urls"}, "nist.5.1-csrf", MET, ""),
    ({"MIDDLEWARE": [DJANGO_MIDDLEWARE]}, "nist.5.1-csrf", NOT_MET, "CsrfViewMiddleware"),
    ({}, "nist.5.1.1-1", MET, ""),
    ({"SESSION_COOKIE_SECURE": False}, "nist.5.1.1-1", NOT_MET, "SESSION_COOKIE_SECURE = True"),
    ({}, "nist.5.1.1-2", MET, ""),
    ({"SESSION_COOKIE_DOMAIN": "example.com"}, "nist.5.1.1-2", NOT_VISIBLE, "example.com"),
    ({}, "nist.5.1.1-3", MET, ""),
    ({"SESSION_COOKIE_HTTPONLY": False}, "nist.5.1.1-3", NOT_MET, "HTTPONLY = True"),
    ({}, "nist.5.1.1-4", MET, "age of its session"),
    ({"SESSION_EXPIRE_AT_BROWSER_CLOSE": True}, "nist.5.1.1-4", MET, "with the browser"),
    ({}, "nist.5.1.1-5", MET, "__Host-sessionid"),
    (
        {"SESSION_COOKIE_NAME": "__Secure-id", "SESSION_COOKIE_DOMAIN": "example.com"},
        "nist.5.1.1-5",
        NOT_MET,
        'Set SESSION_COOKIE_DOMAIN = None; SESSION_COOKIE_NAME = "__Host-id".',
    ),
    ({"SESSION_COOKIE_PATH": "/a/"}, "nist.5.1.1-5", NOT_MET, 'SESSION_COOKIE_PATH = "/"'),
    ({}, "nist.5.1.1-6", MET, "Lax"),
    ({"SESSION_COOKIE_SAMESITE": "None"}, "nist.5.1.1-6", NOT_MET, "SAMESITE"),
    ({}, "nist.5.1.1-7", MET, "key"),
    ({"SESSION_ENGINE": f"{OURS}encrypted_cookies"}, "nist.5.1.1-7", MET, "encrypted"),
    ({"SESSION_ENGINE": f"{OURS}signed_cookies"}, "nist.5.1.1-7", NOT_MET, "encrypted_cookies"),
    ({}, "nist.5.1.2-tokens", NOT_APPLICABLE, ""),
    ({}, "nist.5.2-periodic", MET, ""),
    ({"SESSION_ABSOLUTE_AGE": None}, "nist.5.2-periodic", NOT_MET, "Set SESSION_ABSOLUTE_AGE."),
    ({}, "nist.5.2-timeouts", MET, ""),
    ({"SESSION_IDLE_AGE": None}, "nist.5.2-timeouts", NOT_MET, "Set SESSION_IDLE_AGE."),
    (
        {"SESSION_IDLE_AGE": None},
        "nist.5.2-documented",
        MET,
        "SESSION_IDLE_AGE = None, SESSION_ABSOLUTE_AGE = 86400",
    ),
    ({"SESSION_ABSOLUTE_AGE": None}, "nist.5.2-documented", NOT_MET, "Set SESSION_ABSOLUTE_AGE."),
    ({}, "nist.5.2-federation", NOT_APPLICABLE, ""),
    ({}, "nist.5.3-monitoring", NOT_VISIBLE, ""),
    ({"DEVICES_NEW_DEVICE_EMAIL": True}, "nist.5.3-monitoring", MET, "new device"),
    ({}, "nist.5.3-privacy", NOT_VISIBLE, "cookieproj.devices"),
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
