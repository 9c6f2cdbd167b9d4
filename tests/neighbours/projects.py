"""Which projects are run, and how each starts its own tests."""

from dataclasses import dataclass

import django


@dataclass(frozen=True)
class Neighbour:
    """A project on the package index whose source distribution holds its tests.

    The ``command`` is what its own configuration runs, as arguments of Python, in ``folder`` of
    the distribution. ``settings`` is the module that it names for that, and ``paths`` are where
    Python finds it. ``requires`` is what the tests import beyond Django and the project itself.
    ``and_settings`` are lines of Python below theirs, on both engines.
    """

    name: str
    version: str
    settings: str
    command: tuple[str, ...]
    folder: str = "."
    paths: tuple[str, ...] = (".",)
    requires: tuple[str, ...] = ()
    and_settings: str = ""

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
        # It comes in the place of Django's app, whose table the engines use.
        and_settings='INSTALLED_APPS = [*INSTALLED_APPS, "django.contrib.sessions"]',
    ),
    Neighbour(
        # The one that is installed: its tests are of no use on another.
        "Django", django.__version__, "test_sqlite",
        (
            "runtests.py", "--parallel=1", "auth_tests", "messages_tests", "csrf_tests",
            "test_client", "admin_views",
        ),
        folder="tests",
    ),
]  # fmt: skip
