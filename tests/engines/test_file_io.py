"""Temporary files of the file engine: each has its own name, whatever else is in the folder."""

import os
from itertools import count
from pathlib import Path
from unittest import mock

import pytest

from cookieproj.engines.file_io import NAME_MAX, SessionFile, read_file, replace_file

FILE = SessionFile(b"payload", 1_000_000_000)


@pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling link"])
def test_name_that_is_in_use_is_skipped(tmp_path: Path, kind: str) -> None:
    taken, elsewhere = tmp_path / "session_out_7", tmp_path / "elsewhere"
    match kind:
        case "file":
            taken.write_bytes(b"taken")
        case "folder":
            taken.mkdir()
        case "link":
            elsewhere.write_bytes(b"taken")
            taken.symlink_to(elsewhere)
        case "dangling link":
            taken.symlink_to(elsewhere)
    before = set(tmp_path.iterdir())
    with mock.patch("cookieproj.engines.file_io.TEMPORARY_NUMBERS", count(7)):
        replace_file(str(tmp_path / "session"), FILE)
    assert read_file(str(tmp_path / "session")) == FILE
    assert set(tmp_path.iterdir()) == before | {tmp_path / "session"}
    assert not elsewhere.exists() or elsewhere.read_bytes() == b"taken"


@pytest.mark.parametrize("length", [1, NAME_MAX - 16, NAME_MAX - 15, NAME_MAX])
def test_file_with_a_long_name_is_replaced(tmp_path: Path, length: int) -> None:
    path = tmp_path / ("k" * length)
    with mock.patch("cookieproj.engines.file_io.TEMPORARY_NUMBERS", count(10**10)):
        replace_file(str(path), FILE)
    assert list(tmp_path.iterdir()) == [path]


def test_interrupted_write_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "session"
    path.write_bytes(b"before")
    with (
        mock.patch.object(os, "replace", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        replace_file(str(path), FILE)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"before"
