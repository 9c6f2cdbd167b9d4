"""Launching the system's Chromium."""

import os
import shutil
from typing import Any

import pytest

# The browser sends no requests of its own.
ARGUMENTS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-sync",
    "--no-first-run",
    # Hosts that browsers do not treat as the local machine.
    "--host-resolver-rules=MAP *.test 127.0.0.1",
]

# The first is the second without windows, and takes two thirds of the time.
WITH_WINDOWS = ["chromium", "google-chrome"]
PROGRAMS = ["chromium-headless-shell", *WITH_WINDOWS]


def launching(programs: list[str] = PROGRAMS) -> dict[str, Any]:
    """Return the arguments for Playwright's ``launch``, or skip the test without Chromium."""
    path = next(filter(None, map(shutil.which, programs)), None)
    if path is None:
        reason = f"no Chromium here: the system's package {' or '.join(programs[:2])}"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    # Root, as in a container, has no sandbox.
    arguments = [*ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    return {"executable_path": path, "args": arguments}
