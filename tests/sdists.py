"""Other projects' source distributions, which contain their tests."""

import subprocess
import sys
import tarfile
from pathlib import Path


def unpacked(requirement: str, folder: Path) -> Path:
    """Download ``NAME==VERSION`` with pip, unpack it in ``folder``, and return its own folder."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*pip, "--dest", folder, requirement], check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as source:
        source.extractall(folder, filter="data")
    (unpacked,) = filter(Path.is_dir, folder.iterdir())
    return unpacked
