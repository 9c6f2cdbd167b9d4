"""Random arguments of commands: the error is one line, and never a traceback."""

import os
import sys
from contextlib import suppress
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command, load_command_class
from hypothesis import strategies as st

import manage
from tests.conftest import on
from tests.fault_table import Tally, Whose

from .conftest import Fuzz, on_our_engines
from .inputs import NOTORIOUS, as_json, mutated, values
from .raw_stores import STORES
from .site import Site
from .users import CANARY, sign_up

ENGINES = ["db", "cache", "file", "cached_db", "signed_cookies"]
NUMBERS = ["1", "0", "-1", "7", "1.5", "9" * 19, "9" * 5000, "٣", "²", "1e3", "0x10", " 1"]

# Options and values of each command, and nearly valid ones.
WORDS = {
    "clearsessions": ["--batch-size", "--dry-run", "-v", "--batch-size=7", *NUMBERS],
    "movesessions": [
        *("--from", "--to", "--keep", "--dry-run", "--batch-size", "--from=db", "--to=file"),
        *ENGINES,
        *("django.contrib.sessions.backends.file", "os", "demo.models", ".", "..", ".db", "a..b"),
        *NUMBERS,
    ],
    "signout": [
        *("mallory", "nobody", "--", "-", "--user", "mallory\n", "MALLORY", "*", "%", "--json"),
        *("--older-than", "--older-than=0", "--except-session", "0" * 32, *NUMBERS),
    ],
    "sessions": ["mallory", "nobody", "--", "-", "mallory\n", "MALLORY", "*", "%", "--json"],
    "demodata": ["--if-debug", "--if-debu", "--if-debug=1", "all"],
    "benchsessions": [
        *("--engine", "--requests", "--concurrency", "--size", "--payload", "--json"),
        *ENGINES,
        *("os", ".", "..", "/", "/dev/null", "/nowhere/file.json", "cookieproj.engines.db"),
        *NUMBERS,
    ],
}

TEXTS = [str(value) for value in NOTORIOUS]


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """A command and its arguments, which may be any bytes, as in a shell."""
    command = draw(st.sampled_from(list(WORDS)))
    words = st.sampled_from(WORDS[command])
    near = mutated(words.map(os.fsencode)).map(os.fsdecode)
    return [command, *draw(st.lists(words | words | near | st.sampled_from(TEXTS), max_size=5))]


def error_of(line: list[str]) -> str:
    """The command's error message, or an empty text."""
    command, *arguments = line
    try:
        if command == "benchsessions":
            # Only its arguments are parsed: running it takes seconds.
            parser = load_command_class("cookieproj.engines", command).create_parser(
                "manage.py", command
            )
            parser.parse_args(arguments)
        else:
            call_command(command, *arguments, stdout=StringIO(), stderr=StringIO())
    except CommandError as error:
        return str(error) or "no reason"
    except SystemExit as ended:
        # The code is 0 after --help.
        return str(ended.code or "")
    return ""


@on("db", "file")
@on_our_engines
def test_random_arguments_give_one_line_errors_and_change_no_session(
    site: Site, whose: Whose, profile: str, fuzz: Fuzz, tally: Tally, capfd: Any
) -> None:
    store = STORES[profile]()
    ada, _mallory = sign_up(site, CANARY, CANARY), sign_up(site, "mallory", "blue")
    before = store.payload_of(ada.key)

    def check(line: list[str]) -> None:
        # Except for line ends in the arguments, which the message repeats.
        assert error_of(line).count("\n") <= "".join(line).count("\n")
        assert store.payload_of(ada.key) == before

    tally("Random arguments, all commands", "ours", fuzz(2, check, lines()), 0)


@on("db")
@on_our_engines
def test_random_command_lines_print_no_traceback(
    site: Site,
    whose: Whose,
    profile: str,
    fuzz: Fuzz,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def check(line: list[str]) -> None:
        errors = TextIOWrapper(BytesIO(), "utf-8", "backslashreplace")
        monkeypatch.setattr(sys, "argv", ["manage.py", *line])
        monkeypatch.setattr(sys, "stderr", errors)
        with suppress(SystemExit):
            manage.main()
        errors.seek(0)
        # Not compared with one line, since argparse prints the usage before its error.
        assert "Traceback" not in errors.read()

    assert fuzz(0.2, check, lines().filter(lambda line: line[0] != "benchsessions"))


def test_random_payloads_of_benchsessions_give_one_line_errors(fuzz: Fuzz, tmp_path: Path) -> None:
    path = tmp_path / "payload.json"
    contents = st.one_of(
        st.binary(),
        values.map(as_json),
        mutated(st.just(as_json({"cart": [1, 2], "name": "é"}))),
        st.integers(0, 2000).map(lambda depth: b'{"a": ' + b"[" * depth + b"]" * depth + b"}"),
    )

    def check(content: bytes) -> None:
        path.write_bytes(content)
        assert len(error_of(["benchsessions", "--payload", str(path)]).splitlines()) <= 1

    assert fuzz(0.1, check, contents)
