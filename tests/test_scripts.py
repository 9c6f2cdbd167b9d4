"""The README's two commands on a machine that lacks something."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from .sites import ROOT


@pytest.fixture
def environment() -> ModuleType:
    path = ROOT / "scripts" / "environment.py"
    spec = importlib.util.spec_from_file_location("environment", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(script: str, path: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / script],
        env={"PATH": path, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("script", ["run", "test"])
def test_missing_python_is_a_one_line_error(script: str) -> None:
    result = run(script, os.environ["PATH"], PYTHON="python-that-is-not-there")
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "Python 3.11 or newer is needed; there is no python-that-is-not-there" in line


@pytest.mark.parametrize("script", ["run", "test"])
def test_old_python_is_a_one_line_error(script: str, tmp_path: Path) -> None:
    """The old Python is a script that runs this one with another version number."""
    code = tmp_path / "older.py"
    code.write_text(
        "import sys, runpy\n"
        "sys.version_info = (3, 10, 4)\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    old = tmp_path / "python"
    # Not with this Python in the shebang, because its path may contain a space.
    old.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{code}' \"$@\"\n")
    old.chmod(0o755)
    result = run(script, os.environ["PATH"], PYTHON=str(old))
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "is 3.10" in line


def test_help_of_run_installs_nothing(tmp_path: Path) -> None:
    """There is no Python, and nothing that it would need."""
    (tmp_path / "scripts").mkdir()
    script = shutil.copy(ROOT / "scripts" / "run", tmp_path / "scripts")
    result = subprocess.run(
        ["/bin/sh", script, "--help"],
        env={"PATH": "/usr/bin:/bin", "PYTHON": "missing"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.startswith("Usage: scripts/run ")
    assert list(tmp_path.iterdir()) == [tmp_path / "scripts"]


def test_missing_venv_module_names_the_package(environment: ModuleType) -> None:
    complaint = environment.complaint((3, 12), False, "/usr/bin/python3")
    assert "python3-venv" in complaint
    assert "\n" not in complaint


def test_supported_python_has_no_complaint(environment: ModuleType) -> None:
    assert environment.complaint((3, 11), True, "python3") == ""
    assert environment.complaint((3, 15), True, "python3") == ""


def test_unchanged_requirements_are_not_installed_again(
    environment: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []

    def record_call(command: list[str], **options: object) -> None:
        calls.append(command)
        if "venv" in command:
            (tmp_path / ".venv").mkdir()

    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "environment.py").touch()
    (tmp_path / "requirements.txt").write_text("django\n")
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(environment.subprocess, "run", record_call)
    monkeypatch.setattr(environment, "is_usable", lambda python: (tmp_path / ".venv").exists())
    environment.install_if_changed(["requirements.txt"])
    assert len(calls) == 2
    environment.install_if_changed(["requirements.txt"])
    assert len(calls) == 2
    (tmp_path / "requirements.txt").write_text("django\nhiredis\n")
    environment.install_if_changed(["requirements.txt"])
    assert len(calls) == 3


def test_stamp_includes_included_files(environment: ModuleType) -> None:
    assert "django-redis" in environment.expected_stamp(["tests/requirements.txt"])


def test_is_usable_detects_a_broken_environment(environment: ModuleType, tmp_path: Path) -> None:
    assert environment.is_usable(sys.executable)
    assert not environment.is_usable(tmp_path / "missing")
    assert not environment.is_usable("false")
