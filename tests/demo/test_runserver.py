"""``manage.py runserver`` on a port that is in use."""

import re
import socket

import pytest

from tests.sites import manage


@pytest.mark.parametrize("address", ["", "0.0.0.0:"])
def test_busy_port_is_a_one_line_error_with_a_free_port(address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        busy = server.getsockname()[1]
        result = manage("runserver", "--noreload", f"{address}{busy}")
        assert result.returncode == 1
        (line,) = result.stderr.splitlines()
        match = re.fullmatch(
            rf"CommandError: Port {busy} is in use\. Port (\d+) is free: scripts/run (\S+)", line
        )
        assert match
        assert match[2] == f"{address}{match[1]}"
        # The port is free while the other one is in use.
        with socket.create_server(("127.0.0.1", int(match[1]))):
            assert int(match[1]) != busy


def test_port_that_cannot_exist_is_a_one_line_error() -> None:
    result = manage("runserver", "--noreload", "99999")
    assert result.returncode == 1
    assert result.stderr == "CommandError: There is no port 99999: the last is 65535.\n"
