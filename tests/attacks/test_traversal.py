"""A session key, which is part of a file's name, leads out of the folder of sessions."""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.exceptions import InvalidSessionKey
from pytest_django import Settings

from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.listing import ListingMixin
from demo.models import User
from tests.browsers import browser, key_of
from tests.conftest import forget_folder, on
from tests.fault_table import Whose

from .conftest import Report, Sample, Send

# Spellings of the way to the parent folder.
UP = [
    "../", "..\\", "/../", "\\..\\", "....//", "..%2f", "%2e%2e/", "..%5c", "%252e%252e%252f",
    "..%c0%af", "..\u2215", "..\u2044", "\u2024\u2024/", "\uff0e\uff0e\uff0f", "..;/", "./../",
    ".\0./", "~/", "//", "file:///",
]  # fmt: skip
TARGETS = ["secret", "outside/secret", "sessionidsecret", "new"]
ENDS = ["", "\0", "\0.txt", "%00", "\n", "/", "/.", " ", "\\"]
OTHER_KEYS = [
    ".", "..", "...", "/", "\\", "\0", "~", "C:\\secret", "\\\\server\\share", "CON", "nul",
    ".lock00", "_out_", "a/b", "k" * 250, "k" * 5000, "../" * 200, "/etc/passwd", "/dev/zero",
    "/proc/self/environ", "-rf", "*", "$(id)", "`id`", "|id", "\x7f" * 8, "\u0131" * 8,
    "\uff41" * 32, "\u202e" * 8, "a\u0308" * 8, "K" * 32,
]  # fmt: skip


def keys(folder: Path) -> Iterator[str]:
    """Yield keys that name files outside of the folder, existing and missing ones."""
    yield from OTHER_KEYS
    for up, target, end in product(UP, TARGETS, ENDS):
        yield from (f"{up}{target}{end}", f"{up * 2}{target}{end}", f"x/{up * 3}{target}{end}")
    for target in TARGETS:
        for path in map(str, (folder.parent / target, folder / ".." / target)):
            yield from (path, f"/{path}", f"/../..{path}", path.replace("/", "\\"))
    # The folder's own lock files, as a key would have to name them.
    yield from (f"/../.sessionid.lock{number:02}" for number in range(64))


recordings: list[list[str]] = []


def record(event: str, arguments: tuple[Any, ...]) -> None:
    """Record the paths of files that are opened, created, renamed or removed."""
    if recordings and event.partition(".")[0] in {"open", "os", "shutil", "tempfile"}:
        recordings[-1].extend(
            os.fsdecode(path) for path in arguments if isinstance(path, str | Path)
        )


@cache
def start_auditing() -> None:
    """Install the hook once. It cannot be removed, and slows everything down."""
    sys.addaudithook(record)


@contextmanager
def paths_outside(folder: Path) -> Iterator[list[str]]:
    """Record the paths that the block uses in the folder's parent, but not in the folder."""
    recorded: list[str] = []
    outside: list[str] = []
    start_auditing()
    recordings.append(recorded)
    try:
        yield outside
    finally:
        recordings.remove(recorded)
        for path in map(os.path.abspath, recorded):
            is_below = path.startswith(f"{folder.parent}/")
            if is_below and Path(path).parent != folder:
                outside.append(path)


def test_use_of_path_outside_folder_is_recorded(tmp_path: Path) -> None:
    folder = tmp_path / "sessions"
    folder.mkdir()
    with paths_outside(folder) as outside:
        (folder / "mine").touch()
        (tmp_path / "beside").write_text("")
        (tmp_path / "beside").unlink()
    assert outside == [str(tmp_path / "beside")] * 2


def file_states(root: Path) -> dict[Path, Any]:
    """Return content, mode and time of all files, except the sessions that the site creates."""

    def state(path: Path) -> tuple[Any, ...]:
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        return content, status.st_mode, status.st_mtime_ns, status.st_ino

    created_by_site = re.compile(r"\.?sessionid(\.lock\d\d|[0-9a-z]{32})")
    paths = root.rglob("*")
    return {
        path: state(path)
        for path in paths
        if not (path.is_dir() or created_by_site.fullmatch(path.name))
    }


@pytest.fixture
def folder(settings: Settings, tmp_path: Path, whose: Whose, ada: User) -> Path:
    """The folder of sessions, with copies of a signed-in session above it and beside it."""
    outside, folder = tmp_path / "outside", tmp_path / "sessions"
    settings.SESSION_FILE_PATH = folder
    outside.mkdir()
    folder.mkdir()
    forget_folder()
    client = browser(ada)
    client.post("/sessions/set-item/")
    session = folder / f"sessionid{key_of(client)}"
    for path in (outside / "secret", tmp_path / "secret", tmp_path / "sessionidsecret"):
        shutil.copy2(session, path)
    # A path can lead through this folder, and out again.
    (folder / "sessionid").mkdir()
    (folder / "notes.txt").write_text("mine")
    return folder


def quoted(key: str) -> str:
    """Quote every byte as an octal escape, as cookies allow."""
    return '"' + "".join(f"\\{byte:03o}" for byte in key.encode()) + '"'


METHODS = {"/sessions/keys/": "GET", "/sessions/set-item/": "POST", "/lifecycle/cycle-key/": "POST",
        "/lifecycle/flush/": "POST"}  # fmt: skip


@on("file")
def test_key_in_cookie_does_not_lead_out_of_folder(
    folder: Path, whose: Whose, send: Send, sample: Sample, report: Report
) -> None:
    def leads_out(cookie: str, path: str) -> bool:
        with paths_outside(folder) as outside:
            response = send(path, f"sessionid={cookie}", METHODS[path])
        has_data = path == "/sessions/keys/" and b'"keys": []' not in response.content
        return bool(outside) or has_data or response.status_code >= 500

    before = file_states(folder.parent)
    cookies = [encode(key) for key in sample(keys(folder), 37) for encode in (str, quoted)]
    tries = list(product(cookies, METHODS))
    succeeded: list[Any] = [attempt for attempt in tries if leads_out(*attempt)]
    succeeded += set(file_states(folder.parent).items()) ^ set(before.items())
    report("A session key leads out of the folder", tries, succeeded, whose)


def uses(store: Any, key: str) -> Iterator[Callable[[], object]]:
    """Yield everything that can be done with a session on the engine itself."""

    def change(method: str) -> object:
        session = store(key)
        session["color"] = "blue"
        return getattr(session, method)() and None

    yield lambda: dict(store(key).items())
    yield lambda: store(key).load()
    yield from (partial(change, method) for method in ("save", "create", "cycle_key", "flush"))
    yield lambda: store(key).delete()
    yield lambda: store().delete(key)
    yield lambda: store().exists(key)
    if issubclass(store, ListingMixin):
        yield lambda: store.alive([key])
        yield lambda: store(key).locate()


@on("file")
def test_key_given_to_engine_does_not_lead_out_of_folder(
    folder: Path, whose: Whose, settings: Settings, sample: Sample, report: Report
) -> None:
    store = import_module(settings.SESSION_ENGINE).SessionStore

    def leads_out(use: Callable[[], object]) -> bool:
        result: object = None
        with paths_outside(folder) as outside, suppress(InvalidSessionKey, StoreUnavailableError):
            result = use()
        return bool(outside or result)

    before = file_states(folder.parent)
    tries = [use for key in sample(keys(folder), 7) for use in uses(store, key)]
    succeeded: list[Any] = [use for use in tries if leads_out(use)]
    succeeded += set(file_states(folder.parent).items()) ^ set(before.items())
    report("A session key leads out of the folder", tries, succeeded, whose)


@on("file")
def test_symbolic_link_in_folder_is_not_followed(
    folder: Path, whose: Whose, send: Send, settings: Settings, report: Report
) -> None:
    """The attacker can write to the folder, and links to a file that only the site may use."""
    settings.SESSION_SAVE_EVERY_REQUEST = True
    outside = folder.parent / "outside"
    (outside / "text").write_text("no session")
    targets = ["secret", "text", "new", ".", "/dev/null"]
    succeeded: list[Any] = []
    for number, (target, path) in enumerate(product(targets, METHODS)):
        key = f"link{number:028}"
        (folder / f"sessionid{key}").symlink_to(outside / target)
        before = file_states(outside)
        response = send(path, f"sessionid={key}", METHODS[path])
        is_read = path == "/sessions/keys/" and b'"keys": []' not in response.content
        is_written = file_states(outside) != before
        succeeded += [(target, path)] if is_read or is_written else []
    report("A symbolic link in the folder of sessions", product(targets, METHODS), succeeded, whose)


@on("file")
def test_symbolic_link_in_place_of_lock_is_not_followed(
    folder: Path, whose: Whose, send: Send, settings: Settings, report: Report
) -> None:
    """If the file that would be locked or created is elsewhere, nothing is written at all."""
    outside = folder.parent / "outside"
    for number, lock in enumerate(f".sessionid.lock{number:02}" for number in range(64)):
        (folder / lock).unlink(missing_ok=True)
        (folder / lock).symlink_to(outside / ("secret", "new")[number % 2])
    before = file_states(outside)
    tries = [send("/sessions/set-item/", method="POST") for _ in range(20)]
    succeeded = [response for response in tries if file_states(outside) != before]
    if whose == "ours":
        assert {response.status_code for response in tries} == {503}
    report("A symbolic link in place of a lock", tries, succeeded, whose)
