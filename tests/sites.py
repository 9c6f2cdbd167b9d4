"""The site as people start it: manage.py in a process of its own, served over real HTTP."""

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from .servers import served

ROOT = Path(__file__).parent.parent


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py with nothing but these variables in its environment, whatever comes of it."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def running(**environment: str) -> Iterator[str]:
    """Serve the site until the block ends; gives its address."""
    variables = [f"{name}={value}" for name, value in environment.items()]
    command = [
        "env",
        "-i",
        f"PATH={os.environ['PATH']}",
        *variables,
        sys.executable,
        str(ROOT / "manage.py"),
        "runserver",
    ]
    with served(lambda port: [*command, "--noreload", str(port)]) as port:
        yield f"http://127.0.0.1:{port}"


def public() -> dict[str, str]:
    """What the environment of a public site says at least."""
    return {
        "DEBUG": "off",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
    }


@contextmanager
def in_production(*arguments: str, **environment: str) -> Iterator[str]:
    """The site as gunicorn serves it, by two workers if its arguments do not say otherwise.

    Gives its host and port.
    """
    variables = {"PATH": os.environ["PATH"], **public(), **environment}
    command = [
        *("env", "-i"),
        *(f"{name}={value}" for name, value in variables.items()),
        *(sys.executable, "-m", "gunicorn", "cookieproj.wsgi", "--chdir", str(ROOT)),
        *("--workers", "2", "--log-level", "error", *arguments),
        "--bind",
    ]
    with served(lambda port: [*command, f"127.0.0.1:{port}"]) as port:
        yield f"127.0.0.1:{port}"


class Browser(requests.Session):
    """A browser without scripts: keeps cookies, sends forms with their CSRF token."""

    def __init__(self, site: str) -> None:
        super().__init__()
        self.site = site
        # Proxies of the machine are none of its own.
        self.trust_env = False

    def open(self, path: str) -> requests.Response:
        return self.get(f"{self.site}{path}")

    def submit(self, page: str, action: str, **fields: str) -> requests.Response:
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.open(page).text)
        token = found[1] if found else ""
        return self.post(
            f"{self.site}{action}",
            {**fields, "csrfmiddlewaretoken": token},
            headers={"Origin": self.site},
        )
