"""The projects, and how each runs its own tests."""

from dataclasses import dataclass

import django


@dataclass(frozen=True)
class Neighbour:
    """A project on the package index whose source distribution contains its tests.

    ``command`` are the arguments of Python with which the project runs its tests, in ``folder`` of
    the distribution. ``settings`` is the project's settings module for that, and ``paths`` are
    where Python finds it. ``requires`` are packages that the tests need in addition to Django and
    the project. ``extra_settings`` are lines of Python after the project's settings, on both
    engines.
    """

    name: str
    version: str
    settings: str
    command: tuple[str, ...]
    folder: str = "."
    paths: tuple[str, ...] = (".",)
    requires: tuple[str, ...] = ()
    extra_settings: str = ""

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"


NEIGHBOURS = [
    Neighbour(
        "django-allauth", "65.22.1", "tests.projects.regular.settings",
        (
            "-m", "pytest", "-q", "tests/apps/account", "tests/apps/usersessions",
            "tests/apps/headless",
        ),
        requires=(
            "pytest==9.2.0", "pytest-django==4.14.0", "pytest-asyncio==1.5.0", "Pillow==13.0.0",
            "PyYAML==6.0.4", "django-ninja==1.7.1", "djangorestframework==3.18.3", "fido2==2.2.1",
            "oauthlib==4.0.1", "pyjwt[crypto]==2.15.1", "python3-openid==3.2.0", "qrcode==8.2",
            "requests==2.34.2",
        ),
    ),
    Neighbour(
        "django-formtools", "2.7", "tests.settings", ("-m", "django", "test", "tests"),
    ),
    Neighbour(
        "django-otp", "1.7.5", "test_project.settings", ("-m", "django", "test", "django_otp"),
        paths=("src", "test"),
        requires=("freezegun==1.5.5", "qrcode==8.2", "segno==1.6.6"),
    ),
    Neighbour(
        "django-user-sessions", "2.0.0", "tests.settings", ("-m", "django", "test", "tests"),
        # It replaces Django's app, whose table the engines use.
        extra_settings='INSTALLED_APPS = [*INSTALLED_APPS, "django.contrib.sessions"]',
    ),
    Neighbour(
        # The installed version, since its tests do not fit another.
        "Django", django.__version__, "test_sqlite",
        (
            "runtests.py", "--parallel=1", "auth_tests", "messages_tests", "csrf_tests",
            "test_client", "admin_views",
        ),
        folder="tests",
    ),
]  # fmt: skip
