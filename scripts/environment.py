"""Create .venv and install requirement files into it, again after each change of a file.

    python3 scripts/environment.py requirements.txt

Runs on any Python 3, so that with an old one it says what to do instead of showing a syntax
error. Only one process at a time does this; others wait.
"""

import fcntl
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
OLDEST_PYTHON = (3, 11)


def complaint(version, has_venv, executable):
    """Return one line that says what is wrong with this Python; empty if nothing is."""
    if tuple(version[:2]) < OLDEST_PYTHON:
        number = ".".join(str(part) for part in version[:2])
        return (
            f"Python 3.11 or newer is needed; {executable} is {number}. "
            "Name another one: PYTHON=python3.12 scripts/run"
        )
    if not has_venv:
        return (
            f"{executable} lacks the module venv. "
            "Install it (on Debian and Ubuntu: apt-get install python3-venv)."
        )
    return ""


def expected_stamp(requirements):
    """Return all that decides the content of .venv: this Python's version, and the files' text."""
    lines = [sys.version]
    for path in requirements:
        for line in (ROOT / path).read_text().splitlines():
            lines.append(line)
            if line.startswith("-r "):
                lines.append((ROOT / path).parent.joinpath(line[3:].strip()).read_text())
    return "\n".join(lines)


def install_if_changed(requirements):
    with (ROOT / "scripts" / "environment.py").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = VENV / "-".join(["installed", *requirements]).replace("/", "-")
        if stamp.exists() and stamp.read_text() == expected_stamp(requirements):
            return
        python = VENV / "bin" / "python"
        if not is_usable(python):
            shutil.rmtree(VENV, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        files = [argument for path in requirements for argument in ("-r", path)]
        print("Installing", *requirements, "into .venv …", flush=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *files],
            cwd=str(ROOT),
            check=True,
        )
        stamp.write_text(expected_stamp(requirements))


def is_usable(python):
    """Whether .venv is complete and of the Python that runs this script."""
    code = "import sys, pip; print(sys.version)"
    try:
        answer = subprocess.run([str(python), "-c", code], stdout=subprocess.PIPE, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return answer.stdout.decode().strip() == sys.version.strip()


def main():
    has_venv = find_spec("venv") is not None and find_spec("ensurepip") is not None
    error = complaint(sys.version_info, has_venv, sys.executable)
    if error:
        return error
    try:
        install_if_changed(sys.argv[1:])
    except subprocess.CalledProcessError as failed:
        return f"Set-up failed: {' '.join(failed.cmd)} ended with {failed.returncode}."
    return 0


if __name__ == "__main__":
    sys.exit(main())
