"""What ``checksessions`` says of this site under other settings, and of small sites."""

import json
from pathlib import Path
from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views import View

from cookieproj.engines.compliance.report import report
from cookieproj.engines.compliance.site import ASKS_FOR_PASSWORD
from cookieproj.engines.db import SessionStore as DatabaseStore
from tests.sites import forks

from .test_checks import ADMIN

MET, NOT_MET = "met", "not met"
NOT_APPLICABLE, NOT_VISIBLE = "does not apply", "cannot be seen"

OURS, DJANGOS = "cookieproj.engines.", "django.contrib.sessions.backends."
DJANGO_MIDDLEWARE = "django.contrib.sessions.middleware.SessionMiddleware"
AUTH_BACKENDS = "django.contrib.auth.backends."

# What a site sets to meet all that settings can meet.
COMPLIANT: dict[str, Any] = {
    "SESSION_ENGINE": "cookieproj.engines.db",
    "SESSION_IDLE_AGE": 3600,
    "SESSION_ABSOLUTE_AGE": 86400,
    "SESSION_COOKIE_NAME": "__Host-sessionid",
    "SESSION_COOKIE_SECURE": True,
    "CSRF_COOKIE_NAME": "__Host-csrftoken",
    "CSRF_COOKIE_SECURE": True,
    "LANGUAGE_COOKIE_NAME": "__Host-language",
    "LANGUAGE_COOKIE_SECURE": True,
    "SECURE_SSL_REDIRECT": True,
    "MESSAGE_STORAGE": "django.contrib.messages.storage.session.SessionStorage",
    "DEVICES_LIMIT": 10,
    "DEVICES_ASK_PASSWORD_AFTER": 300,
}

ALL = ({"asvs": 3, "nist": 1}, {"nist": 2}, {"nist": 3})


def findings() -> dict[str, tuple[str, str]]:
    """Return the verdict on this site, and its sentence, for each requirement at each level."""
    return {
        line.requirement.id: (line.finding.verdict.value, line.finding.sentence)
        for levels in ALL
        for line in report(levels)
    }


class SessionStore(DatabaseStore):
    """The engine of a site that makes its own keys."""

    def _get_new_session_key(self) -> str:
        return "1"


class Backend:
    """A backend of a site's own."""

    def get_user(self, user_id: Any) -> None:
        return None


def make_backend() -> Backend:
    return Backend()


class Gate(BaseBackend):
    """A backend that only refuses, as that of django-axes."""


def view(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def pay(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


setattr(pay, ASKS_FOR_PASSWORD, True)


class Transfer(View):
    asks_for_password = True


# Addresses of a site without the devices page.
urlpatterns = [
    path("e-mail/", view),
    path("newPhone/", view),
    path("otp/", view),
    path("pay/", pay),
    path("transfer/", Transfer.as_view()),
    path("photo/", view),
]


# The apps, the middleware and the addresses of a site that has the engines, and users.
SMALL_SITE = """
SECRET_KEY = "not-a-secret"
SESSION_ENGINE = "cookieproj.engines.db"
INSTALLED_APPS = [
    "cookieproj.engines", "django.contrib.auth", "django.contrib.contenttypes",
    "django.contrib.sessions",
]
MIDDLEWARE = [
    "cookieproj.engines.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
ROOT_URLCONF = "site_urls"
"""


def findings_of_small_site(
    folder: Path, settings: str = "", *apps: str, urls: str = ""
) -> dict[str, tuple[str, str]]:
    """Return the same of a small site, which has empty apps of these names."""
    for app in apps:
        path = folder
        for name in app.split("."):
            path /= name
            path.mkdir(exist_ok=True)
            (path / "__init__.py").touch()
    added = f"{SMALL_SITE}\nINSTALLED_APPS += {list(apps)}\n{settings}"
    (folder / "site_settings.py").write_text(added)
    (folder / "site_urls.py").write_text(urls or "urlpatterns = []")
    command = ("checksessions", "--asvs=3", "--nist=1", "--json", "--settings=site_settings")
    ran = forks().run("-c", ADMIN, str(folder), *command)
    assert ran.stdout, ran.stderr
    return {each["id"]: (each["verdict"], each["finding"]) for each in json.loads(ran.stdout)}
