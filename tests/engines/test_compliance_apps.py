"""What ``checksessions`` sees of apps and templates, and every verdict is seen."""

from collections import defaultdict
from pathlib import Path

import pytest
from django import template
from pytest_django import Settings

from cookieproj.engines.compliance.report import STANDARDS

from . import test_compliance_asvs, test_compliance_nist
from .compliance_site import (
    MET,
    NOT_APPLICABLE,
    NOT_MET,
    NOT_VISIBLE,
    findings,
    findings_of_small_site,
)

register = template.Library()


@register.simple_tag
def sign_out_button() -> str:
    return ""


# Empty apps of a small site, and what they make of requirements.
APPS: list[tuple[str, str, str, str]] = [
    ("", "asvs.7.1.2", NOT_MET, "Install the app cookieproj.devices"),
    ("", "asvs.7.2.4", NOT_VISIBLE, "cycle_key"),
    ("", "asvs.7.4.3", MET, "by itself"),
    ("django_otp", "asvs.7.4.3", NOT_VISIBLE, "django_otp"),
    ("", "asvs.7.4.5", NOT_MET, "Install the app cookieproj.devices"),
    ("", "asvs.7.5.1", NOT_MET, "Install the app cookieproj.devices"),
    ("", "asvs.7.5.2", NOT_MET, "Install the app cookieproj.devices"),
    ("", "asvs.7.5.3", NOT_MET, "Install the app cookieproj.devices"),
    ("knox", "asvs.7.2.2", NOT_VISIBLE, "knox"),
    ("social_django", "asvs.7.1.3", NOT_VISIBLE, "social_django"),
    ("social_django", "asvs.7.6.1", NOT_VISIBLE, "social_django"),
    ("social_django", "asvs.7.6.2", NOT_VISIBLE, "social_django"),
    ("social_django", "nist.5.2-federation", NOT_VISIBLE, "social_django"),
    ("django_otp", "nist.5.1-level", NOT_VISIBLE, "django_otp"),
    ("knox", "nist.5.1.2-tokens", NOT_VISIBLE, "knox"),
    ("", "nist.5.3-privacy", NOT_APPLICABLE, ""),
]


@pytest.mark.parametrize("app", sorted({app for app, *_rest in APPS}))
def test_verdicts_by_apps(app: str, tmp_path: Path) -> None:
    found = findings_of_small_site(tmp_path, "", *filter(None, [app]))
    for _app, requirement, verdict, part in (case for case in APPS if case[0] == app):
        assert found[requirement][0] == verdict, requirement
        assert part in found[requirement][1]


def test_site_without_users_has_no_session_hash(tmp_path: Path) -> None:
    middleware = 'MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]'
    assert findings_of_small_site(tmp_path, middleware)["asvs.7.4.3"][0] == NOT_MET


def test_user_of_a_proxy_is_single_sign_on(tmp_path: Path) -> None:
    middleware = 'MIDDLEWARE += ["django.contrib.auth.middleware.RemoteUserMiddleware"]'
    verdict, sentence = findings_of_small_site(tmp_path, middleware)["asvs.7.6.1"]
    assert verdict == NOT_VISIBLE
    assert "RemoteUserMiddleware" in sentence


@pytest.mark.parametrize(
    ("base", "verdict"),
    [
        ("{% load button %}{% sign_out_button %}", MET),
        ('{% include "header.html" %}', MET),
        ("{% load button %}{% if user %}{% sign_out_button %}{% endif %}", MET),
        ("{% block content %}{% endblock %}", NOT_VISIBLE),
        ("{# sign_out_button #}sign_out_button", NOT_VISIBLE),
        ("{% comment %}{% sign_out_button %}{% endcomment %}", NOT_VISIBLE),
        ("{% sign_out_button %}", NOT_MET),
    ],
)
def test_sign_out_button_in_the_sites_template(
    base: str, verdict: str, tmp_path: Path, settings: Settings
) -> None:
    texts = {
        "base.html": base,
        "header.html": "{% load button %}{% sign_out_button %}",
        "cookieproj_devices/base.html": '{% extends "base.html" %}',
    }
    (tmp_path / "cookieproj_devices").mkdir()
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    (configuration,) = settings.TEMPLATES
    options = configuration["OPTIONS"] | {"libraries": {"button": __name__}}
    settings.TEMPLATES = [configuration | {"DIRS": [tmp_path], "OPTIONS": options}]
    assert findings()["asvs.7.4.4"][0] == verdict
    assert findings()["nist.5.1-sign-out"][0] == verdict


DEVICES_SITE = """
INSTALLED_APPS = [
    "cookieproj.devices", *INSTALLED_APPS, "django.contrib.admin", "django.contrib.messages"
]
DEVICES_ASK_PASSWORD_AFTER = 300
"""
ADMIN_URLS = """
from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls), path("devices/", include("cookieproj.devices.urls"))
]
"""


def test_admin_of_users_that_does_not_ask_is_named(tmp_path: Path) -> None:
    found = findings_of_small_site(tmp_path, DEVICES_SITE, urls=ADMIN_URLS)
    verdict, sentence = found["asvs.7.5.1"]
    assert verdict == NOT_VISIBLE
    assert sentence.endswith(": /admin/auth/user/<path:object_id>/change/")


def test_devices_page_is_none_of_the_sites_sensitive_operations(tmp_path: Path) -> None:
    found = findings_of_small_site(tmp_path, DEVICES_SITE, urls=ADMIN_URLS)
    assert found["asvs.7.5.3"][0] == NOT_VISIBLE


def test_without_the_mixin_djangos_cookies_are_ended_by_nobody(tmp_path: Path) -> None:
    engine = 'SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"'
    found = findings_of_small_site(tmp_path, DEVICES_SITE + engine, urls=ADMIN_URLS)
    assert found["asvs.7.4.3"] == (
        MET,
        "A new password ends the others by itself: each session has a hash of it.",
    )
    assert found["asvs.7.4.5"][0] == found["asvs.7.5.2"][0] == NOT_MET


# What no setting shows, and what no site of this project can fail.
ONE_VERDICT = {"nist.5.1-remembered", "nist.5.1-2", "nist.5.1.1-4"}
BY_TEMPLATES = {"asvs.7.4.4", "nist.5.1-sign-out"}


def test_every_requirement_is_seen_with_two_verdicts() -> None:
    cases = [
        *test_compliance_asvs.CASES,
        *test_compliance_nist.CASES,
        *APPS,
        ("", "asvs.7.4.3", NOT_MET, ""),
    ]
    verdicts = defaultdict(set)
    for _site, requirement, verdict, _part in cases:
        verdicts[requirement].add(verdict)
    everything = {each.id for standard in STANDARDS.values() for each in standard.requirements}
    several = {each for each, found in verdicts.items() if len(found) > 1}
    assert several == everything - ONE_VERDICT - BY_TEMPLATES
