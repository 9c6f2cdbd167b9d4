"""Other projects' source distributions, which hold what a wheel leaves out: their tests."""

import subprocess
import sys
import tarfile
from pathlib import Path


def unpacked(requirement: str, folder: Path) -> Path:
    """The folder that pip's download of ``NAME==VERSION`` holds, inside ``folder``."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*pip, "--dest", folder, requirement], check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as source:
        source.extractall(folder, filter="data")
    (unpacked,) = filter(Path.is_dir, folder.iterdir())
    return unpacked
