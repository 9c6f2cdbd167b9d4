"""Run Django's own tests of sessions on our stores: python -m tests.django_suite

They are in the source distribution of the Django that is installed, which pip fetches.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import django

ROOT = Path(__file__).parent.parent.parent


def fetched(folder: Path) -> Path:
    """The folder of Django's tests."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*pip, "--dest", folder, f"django=={django.__version__}"], check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as source:
        source.extractall(folder, filter="data")
    (tests,) = folder.glob("*/tests/runtests.py")
    return tests.parent


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        tests = fetched(Path(folder))
        settings = "--settings=tests.django_suite.settings"
        command = [sys.executable, "runtests.py", "sessions_tests", settings, *sys.argv[1:]]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=tests, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
