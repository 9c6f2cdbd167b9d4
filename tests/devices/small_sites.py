"""A site with its own user model, in a separate folder and process."""

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

# Django's user with a UUID as primary key.
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
        """Write the site's files. Migrations stay, so that the models can change."""
        package = self.folder / "people"
        (package / "migrations").mkdir(parents=True, exist_ok=True)
        for name in ("__init__.py", "migrations/__init__.py"):
            (package / name).touch()
        (self.folder / "sessions").mkdir(mode=0o700, exist_ok=True)
        lines = [f"{name} = {value!r}" for name, value in (SETTINGS | settings).items()]
        (self.folder / "settings.py").write_text("\n".join(lines))
        (self.folder / "urls.py").write_text(dedent(urls))
        (package / "models.py").write_text(dedent(MODELS) + dedent(models))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={
                "PATH": os.defpath,
                "PYTHONPATH": f"{self.folder}:{ROOT}",
                "DJANGO_SETTINGS_MODULE": "settings",
                # Python would use an outdated .pyc if a file is rewritten within a second with
                # the same length.
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def manage(self, *arguments: str) -> str:
        """Run a command, which has to succeed, and return its output."""
        result = self.run("-m", "django", *arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def check(self) -> str:
        """Return the output of the system checks, whether they pass or not."""
        result = self.run("-m", "django", "check")
        return result.stdout + result.stderr

    def migrate(self) -> None:
        self.manage("makemigrations", "people", "--verbosity=0")
        self.manage("migrate", "--verbosity=0")

    def python(self, code: str) -> str:
        """Run code in the site, which has to succeed, and return its output."""
        head = "import django\ndjango.setup()\n"
        (self.folder / "script.py").write_text(head + dedent(code))
        result = self.run("-W", "error::DeprecationWarning", "script.py")
        assert result.returncode == 0, f"{indent(code, '| ')}\n{result.stdout}{result.stderr}"
        return result.stdout.strip()
