"""The site in separate processes: manage.py commands, runserver and gunicorn."""

import atexit
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import requests

from .forking import READ_AT_START, Forks
from .servers import executed, served

ROOT = Path(__file__).parent.parent

# For sites on which many users sign in.
QUICK = "--settings=tests.quick"

# The pages of the site, without those of recipes.
PAGES = [
    "/",
    "/engines/",
    "/session/?whole",
    "/questions/",
    "/break/",
    "/from-flask/",
    "/bound/",
    "/switch/",
    "/devices/",
]


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py with only these environment variables, and return its result."""
    environment = {"PATH": os.environ["PATH"], **environment}
    if not any(map(READ_AT_START.fullmatch, environment)):
        return forks().run("manage.py", *arguments, **environment)
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@cache
def forks() -> Forks:
    """The forking process for all tests of this process."""
    started = Forks(ROOT)
    atexit.register(started.end)
    return started


@contextmanager
def running(*options: str, **environment: str) -> Iterator[str]:
    """Serve the site by runserver until the block ends. Yields its URL."""
    command = python(str(ROOT / "manage.py"), "runserver", "--noreload", *options, **environment)
    with served(lambda port: [*command, str(port)]) as port:
        yield f"http://127.0.0.1:{port}"


def public() -> dict[str, str]:
    """The variables that a public site needs at least."""
    return {
        "DEBUG": "off",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
    }


@contextmanager
def in_production(*options: str, **environment: str) -> Iterator[str]:
    """Serve the public site by gunicorn. Yields its host and port."""
    with gunicorn(*options, **environment) as process:
        yield f"127.0.0.1:{process.port}"


@contextmanager
def gunicorn(*options: str, **environment: str) -> Iterator[Any]:
    """As ``in_production``, but yields the process. It has two workers by default."""
    program = ["-m", "gunicorn", "cookieproj.wsgi", "--chdir", str(ROOT), "--workers", "2"]
    command = python(*program, "--log-level", "error", *options, **(public() | environment))
    with executed(lambda port: [*command, "--bind", f"127.0.0.1:{port}"]) as process:
        yield process


def python(*arguments: str, **environment: str) -> list[str]:
    """A command line that runs Python with only these environment variables."""
    variables = [f"{name}={value}" for name, value in environment.items()]
    return ["env", "-i", f"PATH={os.environ['PATH']}", *variables, sys.executable, *arguments]


class Browser(requests.Session):
    """A browser without scripts, which keeps cookies, and sends forms with their CSRF token."""

    def __init__(self, site: str) -> None:
        super().__init__()
        self.site = site
        # Ignore the machine's proxy settings.
        self.trust_env = False

    def open(self, path: str) -> requests.Response:
        return self.get(f"{self.site}{path}")

    def submit(self, page: str, action: str, **fields: str) -> requests.Response:
        match = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.open(page).text)
        token = match[1] if match else ""
        return self.post(
            f"{self.site}{action}",
            {**fields, "csrfmiddlewaretoken": token},
            headers={"Origin": self.site},
        )
