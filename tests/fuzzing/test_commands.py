"""Arguments of the commands are anything: one line says what is wrong, and never a trace."""

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
from tests.fault_table import Held, Whose

from .conftest import Fuzz, ours
from .inputs import NOTORIOUS, as_json, mutated, values
from .raw_stores import STORES
from .site import Site
from .users import CANARY, signed_in

ENGINES = ["db", "cache", "file", "cached_db", "signed_cookies"]
NUMBERS = ["1", "0", "-1", "7", "1.5", "9" * 19, "9" * 5000, "٣", "²", "1e3", "0x10", " 1"]

# What each of them knows, and what it might take for something that it knows.
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
    """A command and its arguments, as a shell hands on bytes."""
    command = draw(st.sampled_from(list(WORDS)))
    words = st.sampled_from(WORDS[command])
    near = mutated(words.map(os.fsencode)).map(os.fsdecode)
    return [command, *draw(st.lists(words | words | near | st.sampled_from(TEXTS), max_size=5))]


def said(line: list[str]) -> str:
    """What the command says is wrong; empty where nothing is."""
    command, *arguments = line
    try:
        if command == "benchsessions":
            # What it would do then takes seconds.
            parser = load_command_class("cookieproj.engines", command).create_parser(
                "manage.py", command
            )
            parser.parse_args(arguments)
        else:
            call_command(command, *arguments, stdout=StringIO(), stderr=StringIO())
    except CommandError as error:
        return str(error) or "no reason"
    except SystemExit as ended:
        # With nothing to say it has shown its help.
        return str(ended.code or "")
    return ""


@on("db", "file")
@ours
def test_any_arguments(
    site: Site, whose: Whose, profile: str, fuzz: Fuzz, held: Held, capfd: Any
) -> None:
    store = STORES[profile]()
    ada, _mallory = signed_in(site, CANARY, CANARY), signed_in(site, "mallory", "blue")
    before = store.held(ada.key)

    def holds(line: list[str]) -> None:
        # But for those that the arguments bring along.
        assert said(line).count("\n") <= "".join(line).count("\n")
        assert store.held(ada.key) == before

    held("Arguments of anything, all commands", "ours", fuzz(2, holds, lines()), 0)


@on("db")
@ours
def test_any_command_line(
    site: Site,
    whose: Whose,
    profile: str,
    fuzz: Fuzz,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the shell runs it: anything but an exit would be a trace."""

    def holds(line: list[str]) -> None:
        errors = TextIOWrapper(BytesIO(), "utf-8", "backslashreplace")
        monkeypatch.setattr(sys, "argv", ["manage.py", *line])
        monkeypatch.setattr(sys, "stderr", errors)
        with suppress(SystemExit):
            manage.main()
        errors.seek(0)
        # What argparse says comes after the usage.
        assert "Traceback" not in errors.read()

    assert fuzz(0.2, holds, lines().filter(lambda line: line[0] != "benchsessions"))


def test_any_payload_of_a_benchmark(fuzz: Fuzz, tmp_path: Path) -> None:
    path = tmp_path / "payload.json"
    contents = st.one_of(
        st.binary(),
        values.map(as_json),
        mutated(st.just(as_json({"cart": [1, 2], "name": "é"}))),
        st.integers(0, 2000).map(lambda depth: b'{"a": ' + b"[" * depth + b"]" * depth + b"}"),
    )

    def holds(content: bytes) -> None:
        path.write_bytes(content)
        assert len(said(["benchsessions", "--payload", str(path)]).splitlines()) <= 1

    assert fuzz(0.1, holds, contents)
