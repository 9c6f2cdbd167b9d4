"""compose.yaml, as Docker Compose reads it."""

import os
import re
import shutil
import subprocess

import pytest

from .sites import ROOT

COMPOSE = ROOT / "compose.yaml"


def config(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("docker-compose") or ""
    if not program:
        reason = "no docker-compose here: the system's package docker-compose"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    return subprocess.run(
        [program, "--file", str(COMPOSE), "config", *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_compose_file_is_valid() -> None:
    result = config("--services", POSTGRES_PASSWORD="of-this-test")
    assert result.returncode == 0, result.stderr
    assert set(result.stdout.split()) == {"postgresql", "redis"}


def test_missing_password_is_an_error() -> None:
    result = config()
    assert result.returncode != 0
    assert "set it to a long random text" in result.stderr


def test_ports_are_published_on_loopback_only() -> None:
    ports = re.findall(r'ports: \["(.*)"\]', COMPOSE.read_text())
    assert [port.partition(":")[0] for port in ports] == ["127.0.0.1", "127.0.0.1"]
