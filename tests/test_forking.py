"""A forked command behaves like one in a new process."""

import subprocess
import sys
from unittest import mock

import pytest

from . import sites
from .sites import ROOT, forks

PRINT_LOADED_MODULES = """
import sys
from django.conf import settings
print([name for name in sys.modules if name.partition(".")[0] in {"cookieproj", "demo"}])
print(settings.configured)
"""


def test_fork_has_not_imported_the_site() -> None:
    assert forks().run("-c", PRINT_LOADED_MODULES).stdout == "[]\nFalse\n"


def test_fork_has_only_the_given_variables() -> None:
    assert forks().run("-c", "import os; print(dict(os.environ))", A="1").stdout == "{'A': '1'}\n"


def test_fork_has_the_given_arguments() -> None:
    result = forks().run("-c", "import sys; print(sys.argv)", "a", "b")
    assert result.stdout == "['-c', 'a', 'b']\n"


def test_fork_returns_output_and_exit_code() -> None:
    result = forks().run("-c", "import sys; print('out'); sys.exit('err')")
    assert (result.returncode, result.stdout, result.stderr) == (1, "out\n", "err\n")
    result = forks().run("-c", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
    assert result.returncode == -15


def test_forked_command_has_the_same_output() -> None:
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
def test_variables_of_the_interpreter_need_a_new_process(
    variables: dict[str, str], is_forked: bool
) -> None:
    with mock.patch.object(sites, "forks") as forks_called, mock.patch("subprocess.run"):
        sites.manage("check", **variables)
    assert forks_called.called == is_forked
