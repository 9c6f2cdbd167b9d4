"""What operates sessions, tested once more where the site's database is PostgreSQL."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import new_database
from tests.sites import ROOT

HERE = Path(__file__).parent
TESTS = ["test_admin.py", "test_commands.py", "test_devices.py", "test_index.py"]


@pytest.mark.long
def test_the_same_tests_pass_there(postgresql_url: str) -> None:
    command = [sys.executable, "-m", "pytest", "--no-cov", "-q", "-p", "no:cacheprovider"]
    ran = subprocess.run(
        [*command, *(str(HERE / name) for name in TESTS)],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": new_database(postgresql_url, "operating")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    assert "skipped" not in ran.stdout
