"""A session key, which names a file, leads out of the folder of the files."""

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

from .conftest import Judged, Send, Some

# What a key is tried to be told from: the folder of the sessions lies two below the root.
UP = [
    "../", "..\\", "/../", "\\..\\", "....//", "..%2f", "%2e%2e/", "..%5c", "%252e%252e%252f",
    "..%c0%af", "..\u2215", "..\u2044", "\u2024\u2024/", "\uff0e\uff0e\uff0f", "..;/", "./../",
    ".\0./", "~/", "//", "file:///",
]  # fmt: skip
TARGETS = ["secret", "outside/secret", "sessionidsecret", "new"]
ENDS = ["", "\0", "\0.txt", "%00", "\n", "/", "/.", " ", "\\"]
WHOLE = [
    ".", "..", "...", "/", "\\", "\0", "~", "C:\\secret", "\\\\server\\share", "CON", "nul",
    ".lock00", "_out_", "a/b", "k" * 250, "k" * 5000, "../" * 200, "/etc/passwd", "/dev/zero",
    "/proc/self/environ", "-rf", "*", "$(id)", "`id`", "|id", "\x7f" * 8, "\u0131" * 8,
    "\uff41" * 32, "\u202e" * 8, "a\u0308" * 8, "K" * 32,
]  # fmt: skip


def keys(folder: Path) -> Iterator[str]:
    """Of files that are there outside of the folder, and of some that are not."""
    yield from WHOLE
    for up, target, end in product(UP, TARGETS, ENDS):
        yield from (f"{up}{target}{end}", f"{up * 2}{target}{end}", f"x/{up * 3}{target}{end}")
    for target in TARGETS:
        for path in map(str, (folder.parent / target, folder / ".." / target)):
            yield from (path, f"/{path}", f"/../..{path}", path.replace("/", "\\"))
    # The lock files of the folder itself, by what a key would have to be.
    yield from (f"/../.sessionid.lock{number:02}" for number in range(64))


watching: list[list[str]] = []


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Of each file that is opened, made, renamed or removed."""
    if watching and event.partition(".")[0] in {"open", "os", "shutil", "tempfile"}:
        watching[-1].extend(os.fsdecode(path) for path in arguments if isinstance(path, str | Path))


@cache
def audit() -> None:
    """From the first test on that needs it: it cannot be ended, and all that runs is slower."""
    sys.addaudithook(watch)


@contextmanager
def touched(folder: Path) -> Iterator[list[str]]:
    """The paths to which the block goes, below the parent of that folder and not in it."""
    seen: list[str] = []
    outside: list[str] = []
    audit()
    watching.append(seen)
    try:
        yield outside
    finally:
        watching.remove(seen)
        for path in map(os.path.abspath, seen):
            is_below = path.startswith(f"{folder.parent}/")
            if is_below and Path(path).parent != folder:
                outside.append(path)


def test_whoever_goes_beside_the_folder_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "sessions"
    folder.mkdir()
    with touched(folder) as outside:
        (folder / "mine").touch()
        (tmp_path / "beside").write_text("")
        (tmp_path / "beside").unlink()
    assert outside == [str(tmp_path / "beside")] * 2


def files(root: Path) -> dict[Path, Any]:
    """What is there, but for sessions that the site makes: bytes, mode and times."""

    def state(path: Path) -> tuple[Any, ...]:
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        return content, status.st_mode, status.st_mtime_ns, status.st_ino

    made = re.compile(r"\.?sessionid(\.lock\d\d|[0-9a-z]{32})")
    found = root.rglob("*")
    return {path: state(path) for path in found if not (path.is_dir() or made.fullmatch(path.name))}


@pytest.fixture
def folder(settings: Settings, tmp_path: Path, whose: Whose, ada: User) -> Path:
    """Of the sessions; above it and beside it lie sessions that are signed in."""
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
    # With it a path through it leads on, and out again.
    (folder / "sessionid").mkdir()
    (folder / "notes.txt").write_text("mine")
    return folder


def quoted(key: str) -> str:
    """As a cookie can spell any byte."""
    return '"' + "".join(f"\\{byte:03o}" for byte in key.encode()) + '"'


WAYS = {"/sessions/keys/": "GET", "/sessions/set-item/": "POST", "/lifecycle/cycle-key/": "POST",
        "/lifecycle/flush/": "POST"}  # fmt: skip


@on("file")
def test_a_key_in_the_cookie(
    folder: Path, whose: Whose, send: Send, some: Some, judged: Judged
) -> None:
    def leads_out(cookie: str, path: str) -> bool:
        with touched(folder) as outside:
            answer = send(path, f"sessionid={cookie}", WAYS[path])
        has_data = path == "/sessions/keys/" and b'"keys": []' not in answer.content
        return bool(outside) or has_data or answer.status_code >= 500

    before = files(folder.parent)
    spelled = [spell(key) for key in some(keys(folder), 37) for spell in (str, quoted)]
    tries = list(product(spelled, WAYS))
    lost: list[Any] = [tried for tried in tries if leads_out(*tried)]
    lost += set(files(folder.parent).items()) ^ set(before.items())
    judged("A session key leads out of the folder", tries, lost, whose)


def uses(store: Any, key: str) -> Iterator[Callable[[], object]]:
    """All that can be done with a session, straight on the engine."""

    def written(act: str) -> object:
        session = store(key)
        session["color"] = "blue"
        return getattr(session, act)() and None

    yield lambda: dict(store(key).items())
    yield lambda: store(key).load()
    yield from (partial(written, act) for act in ("save", "create", "cycle_key", "flush"))
    yield lambda: store(key).delete()
    yield lambda: store().delete(key)
    yield lambda: store().exists(key)
    if issubclass(store, ListingMixin):
        yield lambda: store.alive([key])
        yield lambda: store(key).locate()


@on("file")
def test_a_key_given_to_the_engine(
    folder: Path, whose: Whose, settings: Settings, some: Some, judged: Judged
) -> None:
    store = import_module(settings.SESSION_ENGINE).SessionStore

    def leads_out(use: Callable[[], object]) -> bool:
        found: object = None
        with touched(folder) as outside, suppress(InvalidSessionKey, StoreUnavailableError):
            found = use()
        return bool(outside or found)

    before = files(folder.parent)
    tries = [use for key in some(keys(folder), 7) for use in uses(store, key)]
    lost: list[Any] = [use for use in tries if leads_out(use)]
    lost += set(files(folder.parent).items()) ^ set(before.items())
    judged("A session key leads out of the folder", tries, lost, whose)


@on("file")
def test_a_link_in_the_folder(
    folder: Path, whose: Whose, send: Send, settings: Settings, judged: Judged
) -> None:
    """Placed by somebody who may write there, to what only the site may read or write."""
    settings.SESSION_SAVE_EVERY_REQUEST = True
    outside = folder.parent / "outside"
    (outside / "text").write_text("no session")
    targets = ["secret", "text", "new", ".", "/dev/null"]
    lost: list[Any] = []
    for number, (target, path) in enumerate(product(targets, WAYS)):
        key = f"link{number:028}"
        (folder / f"sessionid{key}").symlink_to(outside / target)
        before = files(outside)
        answer = send(path, f"sessionid={key}", WAYS[path])
        is_read = path == "/sessions/keys/" and b'"keys": []' not in answer.content
        is_written = files(outside) != before
        lost += [(target, path)] if is_read or is_written else []
    judged("A link in the folder of the sessions", product(targets, WAYS), lost, whose)


@on("file")
def test_a_link_in_place_of_a_lock(
    folder: Path, whose: Whose, send: Send, settings: Settings, judged: Judged
) -> None:
    """What would be locked, or made, is elsewhere: then nothing is written at all."""
    outside = folder.parent / "outside"
    for number, lock in enumerate(f".sessionid.lock{number:02}" for number in range(64)):
        (folder / lock).unlink(missing_ok=True)
        (folder / lock).symlink_to(outside / ("secret", "new")[number % 2])
    before = files(outside)
    tries = [send("/sessions/set-item/", method="POST") for _ in range(20)]
    lost = [answer for answer in tries if files(outside) != before]
    if whose == "ours":
        assert {answer.status_code for answer in tries} == {503}
    judged("A link in place of a lock", tries, lost, whose)
