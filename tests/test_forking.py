"""What is forked is as good as a process of its own."""

import subprocess
import sys
from unittest import mock

import pytest

from . import sites
from .sites import ROOT, forks

LOADED = """
import sys
from django.conf import settings
print([name for name in sys.modules if name.partition(".")[0] in {"cookieproj", "demo"}])
print(settings.configured)
"""


def test_nothing_of_the_site_is_there_yet() -> None:
    assert forks().run("-c", LOADED).stdout == "[]\nFalse\n"


def test_it_has_the_variables_that_it_is_given() -> None:
    assert forks().run("-c", "import os; print(dict(os.environ))", A="1").stdout == "{'A': '1'}\n"


def test_it_has_the_arguments_that_it_is_given() -> None:
    result = forks().run("-c", "import sys; print(sys.argv)", "a", "b")
    assert result.stdout == "['-c', 'a', 'b']\n"


def test_what_it_says_and_how_it_ends_is_told() -> None:
    result = forks().run("-c", "import sys; print('out'); sys.exit('err')")
    assert (result.returncode, result.stdout, result.stderr) == (1, "out\n", "err\n")
    result = forks().run("-c", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
    assert result.returncode == -15


def test_a_command_says_the_same() -> None:
    command = ["manage.py", "check", "--deploy"]
    result = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env={}, capture_output=True, text=True, check=False
    )
    forked = forks().run(*command)
    assert "WARNINGS" in result.stderr
    assert (forked.returncode, forked.stdout, forked.stderr) == (
        result.returncode,
        result.stdout,
        result.stderr,
    )


@pytest.mark.parametrize(
    ("variables", "is_forked"),
    [
        ({}, True),
        ({"LANGUAGE_CODE": "zh-hans", "PATH": ""}, True),
        ({"LANGUAGE": "zh"}, False),
        ({"LANG": "C"}, False),
        ({"LC_ALL": "C"}, False),
        ({"PYTHONHASHSEED": "1"}, False),
    ],
)
def test_what_the_interpreter_reads_as_it_starts_needs_a_new_one(
    variables: dict[str, str], is_forked: bool
) -> None:
    with mock.patch.object(sites, "forks") as asked, mock.patch("subprocess.run"):
        sites.manage("check", **variables)
    assert asked.called == is_forked
