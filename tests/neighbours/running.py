"""Runs a project's own tests, unchanged, on an engine."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cookieproj.engines.constants import CACHE, CACHED_DB, DJANGO_ENGINES, OUR_ENGINES

from .projects import Neighbour

# Maximum seconds of a project's tests on one engine.
MAX_SECONDS = 1500

MIDDLEWARE = {
    DJANGO_ENGINES: "django.contrib.sessions.middleware.SessionMiddleware",
    OUR_ENGINES: "cookieproj.engines.middleware.SessionMiddleware",
}

SETTINGS = """
from {settings} import *
from recorder import with_middleware

SESSION_ENGINE = "{package}{engine}"
SESSION_FILE_PATH = "{files}"
MIDDLEWARE = with_middleware(globals().get("MIDDLEWARE", ()))
TEST_RUNNER = "recorder.Runner"
{extra_settings}
"""

# The project's cache may be a dummy, on which no engine can keep sessions.
CACHE_SETTINGS = """
from django.conf import global_settings

CACHES = {
    **globals().get("CACHES", global_settings.CACHES),
    "sessions": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "sessions",
    },
}
SESSION_CACHE_ALIAS = "sessions"
"""

# Variables of this process that would affect the project's tests.
REMOVED_VARIABLES = ("DJANGO_SETTINGS_MODULE", "PYTEST_ADDOPTS", "PYTHONPATH")


class DidNotRunError(Exception):
    """The tests did not finish in time, or there were none, so there is no result."""


def run(neighbour: Neighbour, source: Path, package: str, engine: str) -> dict[str, str]:
    """Outcomes by name of test: ``passed``, ``failed`` or ``skipped``.

    ``source`` is the unpacked distribution, ``package`` is DJANGO_ENGINES or OUR_ENGINES. Raises
    DidNotRunError with the last lines of the tests' output.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "files").mkdir()
        shutil.copy(Path(__file__).with_name("recorder.py"), folder)
        settings = SETTINGS.format(
            settings=neighbour.settings,
            package=package,
            engine=engine,
            files=folder / "files",
            extra_settings=neighbour.extra_settings,
        )
        if engine in (CACHE, CACHED_DB):
            settings += CACHE_SETTINGS
        (folder / "neighbour_settings.py").write_text(settings)
        working_folder = source / neighbour.folder
        paths = [folder, *(working_folder / path for path in neighbour.paths)]
        environment = {
            key: value for key, value in os.environ.items() if key not in REMOVED_VARIABLES
        } | {
            "DJANGO_SETTINGS_MODULE": "neighbour_settings",
            "NEIGHBOUR_MIDDLEWARE": MIDDLEWARE[package],
            "NEIGHBOUR_OUTCOMES": str(folder / "outcomes.json"),
            "PYTEST_ADDOPTS": "-p no:cacheprovider -p recorder",
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
        }
        log = folder / "log"
        try:
            with log.open("w") as output:
                subprocess.run(
                    [sys.executable, *neighbour.command],
                    cwd=working_folder,
                    env=environment,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=MAX_SECONDS,
                    check=False,
                )
        except subprocess.TimeoutExpired as error:
            raise DidNotRunError(f"not done after {MAX_SECONDS} seconds\n{tail(log)}") from error
        if not (folder / "outcomes.json").exists():
            raise DidNotRunError(tail(log))
        outcomes: dict[str, str] = json.loads((folder / "outcomes.json").read_text())
    if not outcomes:
        raise DidNotRunError("no test was found")
    return outcomes


def tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-30:])
