"""Run Django's own tests of sessions on our engines: python -m tests.django_suite

They are in the source distribution of the installed Django, which pip downloads.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import django

from tests import sdists

ROOT = Path(__file__).parent.parent.parent


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        tests = sdists.unpacked(f"django=={django.__version__}", Path(folder)) / "tests"
        settings = "--settings=tests.django_suite.settings"
        command = [sys.executable, "runtests.py", "sessions_tests", settings, *sys.argv[1:]]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=tests, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
