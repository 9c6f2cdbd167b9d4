"""A site with users of its own, in a folder and a process of its own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

from tests.sites import ROOT

APPS = [
    "people",
    "cookieproj.devices",
    "cookieproj.engines",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
]

MIDDLEWARE = [
    "cookieproj.engines.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "cookieproj.devices.middleware.DevicesMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

SETTINGS: dict[str, Any] = {
    "SECRET_KEY": "of a test",
    "ALLOWED_HOSTS": ["*"],
    "INSTALLED_APPS": APPS,
    "MIDDLEWARE": MIDDLEWARE,
    "AUTH_USER_MODEL": "people.Member",
    "SESSION_ENGINE": "cookieproj.engines.db",
    "SESSION_FILE_PATH": "sessions",
    "SESSION_REVOCATION_CHECK": "cookieproj.devices.revocation.is_revoked",
    "ROOT_URLCONF": "urls",
    "USE_TZ": True,
    "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
    "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
    "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}},
    "TEMPLATES": [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
}

MODELS = """
    import uuid

    from cookieproj.devices.user_mixin import SignOutEverywhereMixin
    from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
    from django.db import models

"""

# Of users with names and permissions, by whatever key.
PLAIN = """
    from django.contrib.auth.models import AbstractUser

    class Member(AbstractUser):
        id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
"""

URLS = """
    from django.urls import include, path

    urlpatterns = [path("devices/", include("cookieproj.devices.urls"))]
"""


@dataclass
class SmallSite:
    folder: Path

    def write(self, models: str = PLAIN, urls: str = URLS, **settings: Any) -> None:
        """Its files; those of migrations stay, so that models can become others."""
        package = self.folder / "people"
        (package / "migrations").mkdir(parents=True, exist_ok=True)
        for name in ("__init__.py", "migrations/__init__.py"):
            (package / name).touch()
        (self.folder / "sessions").mkdir(mode=0o700, exist_ok=True)
        lines = [f"{name} = {value!r}" for name, value in (SETTINGS | settings).items()]
        (self.folder / "settings.py").write_text("\n".join(lines))
        (self.folder / "urls.py").write_text(dedent(urls))
        (package / "models.py").write_text(dedent(MODELS) + dedent(models))

    def ran(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={
                "PATH": os.defpath,
                "PYTHONPATH": f"{self.folder}:{ROOT}",
                "DJANGO_SETTINGS_MODULE": "settings",
                # Of a file that is written again in the same second, in the same length, Python
                # would take what it has compiled before.
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def manage(self, *arguments: str) -> str:
        """What a command says; it must not fail."""
        ran = self.ran("-m", "django", *arguments)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def check(self) -> str:
        """What the system checks say, whether they pass or not."""
        ran = self.ran("-m", "django", "check")
        return ran.stdout + ran.stderr

    def migrate(self) -> None:
        self.manage("makemigrations", "people", "--verbosity=0")
        self.manage("migrate", "--verbosity=0")

    def python(self, code: str) -> str:
        """What that code prints, in the site once it is set up; it must not fail."""
        head = "import django\ndjango.setup()\n"
        (self.folder / "asked.py").write_text(head + dedent(code))
        ran = self.ran("-W", "error::DeprecationWarning", "asked.py")
        assert ran.returncode == 0, f"{indent(code, '| ')}\n{ran.stdout}{ran.stderr}"
        return ran.stdout.strip()
