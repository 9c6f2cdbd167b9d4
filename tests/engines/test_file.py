"""What only files can get wrong: full disks, times, names, and what others left in the folder."""

import errno
import gc
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.contrib.sessions.backends.file import SessionStore as DjangoStore
from django.contrib.sessions.exceptions import InvalidSessionKey
from django.utils import timezone
from pytest_django import Settings

from cookieproj.engines.entries import Page
from cookieproj.engines.exceptions import (
    NotListableError,
    StoreError,
    StoreFullError,
    StoreMisconfiguredError,
    StoreUnavailableError,
)
from cookieproj.engines.file import SessionStore
from cookieproj.engines.file_store import FileStore

from .contract import Engine, on_engines

pytestmark = on_engines(lambda engine: engine.ours and engine.name == "file")

AGE = 14 * 24 * 60 * 60


def stored(store: Any = SessionStore, expiry: Any = None, **data: Any) -> Any:
    session = store()
    session.update(data)
    session.set_expiry(expiry)
    session.save()
    return session


def sessions(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("sessionid*")}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_is_an_error_and_what_was_there_stays(
    engine: Engine, tmp_path: Path, number: int
) -> None:
    session = stored(a=1)
    before = sessions(tmp_path)
    again = SessionStore(session.session_key)
    again["b"] = 2
    full = OSError(number, os.strerror(number), f"{tmp_path}/sessionid{session.session_key}")
    with (
        mock.patch("cookieproj.engines.session_files.os.utime", side_effect=full),
        pytest.raises(StoreError, match=str(tmp_path)) as error,
    ):
        again.save()
    assert os.strerror(number) in str(error.value)
    assert session.session_key not in str(error.value)
    assert dict(SessionStore(session.session_key).items()) == {"a": 1}
    assert sessions(tmp_path) == before
    again.save()
    assert dict(SessionStore(session.session_key).items()) == {"a": 1, "b": 2}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_really_full_disk_too(engine: Engine, tmp_path: Path) -> None:
    session = stored(a=1)
    again = SessionStore(session.session_key)
    again["b"] = 2

    def on_a_full_disk(**where: Any) -> tuple[int, str]:
        path = tmp_path / "sessionid-on-a-full-disk"
        path.symlink_to("/dev/full")
        return os.open(path, os.O_WRONLY), str(path)

    with (
        mock.patch("cookieproj.engines.session_files.tempfile.mkstemp", on_a_full_disk),
        pytest.raises(StoreFullError, match=os.strerror(errno.ENOSPC)),
    ):
        again.save()
    assert dict(SessionStore(session.session_key).items()) == {"a": 1}


def test_a_folder_that_is_gone_has_ended_no_session(engine: Engine, tmp_path: Path) -> None:
    """As when a shared file system is not mounted."""
    session = stored(a=1)
    elsewhere = tmp_path.rename(tmp_path.with_name("elsewhere"))
    with pytest.raises(StoreMisconfiguredError, match=str(tmp_path)):
        SessionStore(session.session_key).load()
    elsewhere.rename(tmp_path)
    assert SessionStore(session.session_key)["a"] == 1


def test_a_file_that_cannot_be_read_has_ended_no_session(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / f"sessionid{'k' * 32}").mkdir()
    with pytest.raises(StoreUnavailableError, match="directory"):
        SessionStore("k" * 32).load()


def test_files_are_private(engine: Engine, tmp_path: Path) -> None:
    stored(a=1).save()
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("expiry", "seconds"), [(None, AGE), (0, AGE), (60, 60), (2 * AGE, 2 * AGE)]
)
@pytest.mark.parametrize("writer", [SessionStore, DjangoStore])
def test_a_session_lives_as_long_as_it_was_given(
    engine: Engine, tmp_path: Path, writer: Any, expiry: int | None, seconds: int
) -> None:
    """Django's engine takes set_expiry(60) for ever, and clears what lives longer than others."""
    key = stored(writer, expiry, a=1).session_key
    with time_machine.travel(timezone.now() + timedelta(seconds=seconds - 5), tick=False):
        assert SessionStore.clear_expired() == 0
        assert SessionStore(key)["a"] == 1
    with time_machine.travel(timezone.now() + timedelta(seconds=seconds + 5), tick=False):
        assert SessionStore(key).load() == {}
        assert SessionStore.clear_expired() == 1
    assert sessions(tmp_path) == set()


def test_and_until_the_moment_it_was_given(engine: Engine) -> None:
    moment = timezone.now() + timedelta(days=100)
    key = stored(expiry=moment, a=1).session_key
    with time_machine.travel(moment - timedelta(seconds=1), tick=False):
        assert SessionStore(key)["a"] == 1
    with time_machine.travel(moment + timedelta(seconds=1), tick=False):
        assert SessionStore(key).load() == {}


def test_reading_an_expired_session_makes_no_file(engine: Engine, tmp_path: Path) -> None:
    key = stored(expiry=-60, a=1).session_key
    before = sessions(tmp_path)
    assert SessionStore(key).load() == {}
    assert sessions(tmp_path) == before


def test_saving_moves_the_expiry(engine: Engine) -> None:
    key = stored(expiry=60, a=1).session_key
    start = timezone.now()
    for seconds in (50, 100, 150):
        with time_machine.travel(start + timedelta(seconds=seconds), tick=False):
            SessionStore(key).save()
    with time_machine.travel(start + timedelta(seconds=200), tick=False):
        assert SessionStore(key)["a"] == 1


def test_clearing_opens_no_file_that_tells_by_its_time(engine: Engine) -> None:
    keys = [stored(a=1).session_key for _ in range(3)]
    with mock.patch.object(SessionStore, "decode", side_effect=AssertionError):
        assert SessionStore.clear_expired() == 0
    with (
        time_machine.travel(timezone.now() + timedelta(seconds=AGE + 5), tick=False),
        mock.patch.object(SessionStore, "decode", side_effect=AssertionError),
    ):
        assert SessionStore.clear_expired() == 3
    assert not any(SessionStore().exists(key) for key in keys)


def test_a_session_that_is_saved_while_clearing_lives(engine: Engine) -> None:
    """Between finding it expired and removing it."""
    key = stored(expiry=-60, a=1).session_key
    session = SessionStore()
    saved = mock.patch.object(FileStore, "_has_expired", side_effect=[True, False])
    with saved:
        assert SessionStore.clear_expired() == 0
    assert session.exists(key)


def test_clearing_leaves_alone_what_is_not_its_own(engine: Engine, tmp_path: Path) -> None:
    for name in ("notes.txt", "sessionid", "sessionid.bak", "other" + "k" * 32):
        (tmp_path / name).write_text("mine")
    os.utime(tmp_path / "sessionid.bak", (0, 0))
    assert SessionStore.clear_expired() == 0
    assert list(SessionStore.walk()) == []
    assert {path.name for path in tmp_path.iterdir() if path.suffix} >= {"notes.txt"}
    assert (tmp_path / "sessionid.bak").exists()


def test_what_an_interrupted_write_left_is_cleared_after_an_hour(
    engine: Engine, tmp_path: Path
) -> None:
    old, young = (tmp_path / f"sessionid{'k' * 32}_out_{name}" for name in ("old", "young"))
    old.touch()
    young.touch()
    os.utime(old, (0, 0))
    assert SessionStore.clear_expired() == 0
    assert not old.exists()
    assert young.exists()


def test_an_empty_file_is_an_empty_session(engine: Engine, tmp_path: Path) -> None:
    """Django's engine makes one before it writes."""
    (tmp_path / f"sessionid{'k' * 32}").touch()
    session = SessionStore("k" * 32)
    assert session.load() == {}
    assert session.session_key == "k" * 32


@pytest.mark.parametrize("content", [b"\xff\xfe", b"not signed", b"a:b:c"])
def test_a_file_of_something_else_holds_no_data(
    engine: Engine, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / f"sessionid{'k' * 32}").write_bytes(content)
    assert SessionStore("k" * 32).load() == {}


@pytest.mark.parametrize("key", ["../../etc/passwd", "a/b/c/d/e", "ABCDEFGHIJ", ".lock00....."])
def test_no_key_leads_out_of_the_folder(engine: Engine, key: str) -> None:
    session = SessionStore(key)
    assert session.session_key is None
    assert session.load() == {}
    for act in (session.exists, session.delete):
        with pytest.raises(InvalidSessionKey):
            act(key)


def test_where_anybody_may_write_each_user_has_locks_of_their_own(
    engine: Engine, tmp_path: Path
) -> None:
    tmp_path.chmod(0o1777)
    stored(a=1)
    (lock,) = tmp_path.glob(".sessionid.lock*")
    assert lock.name.endswith(f".{os.geteuid()}")


def test_a_lock_that_root_made_is_the_folders_owners(engine: Engine, tmp_path: Path) -> None:
    owner = 65534 if os.geteuid() == 0 else os.geteuid()
    os.chown(tmp_path, owner, -1)
    stored(a=1)
    (lock,) = tmp_path.glob(".sessionid.lock*")
    assert lock.stat().st_uid == owner


@pytest.mark.parametrize("use_tz", [True, False])
def test_a_date_outlives_a_change_of_use_tz(
    engine: Engine, settings: Settings, use_tz: bool
) -> None:
    settings.USE_TZ = use_tz
    key = stored(expiry=timezone.now() + timedelta(days=2), a=1).session_key
    settings.USE_TZ = not use_tz
    assert SessionStore(key)["a"] == 1


@pytest.fixture
def many(engine: Engine, tmp_path: Path) -> set[str]:
    """Session files enough for several blocks of the folder."""
    names = {f"{number:032}" for number in range(5000)}
    for name in names:
        (tmp_path / f"sessionid{name}").touch()
    return names


def pages(between: Callable[[int, Page], object] = lambda number, page: None) -> list[str]:
    """The keys on all pages; something may happen between two of them."""
    met: list[str] = []
    position = ""
    for number in range(1000):
        page = SessionStore.page(position, 100)
        met += [session.key for session in page.sessions]
        between(number, page)
        position = page.next
        if not position:
            return met
    raise AssertionError


def test_a_page_deep_in_a_large_folder_reads_what_it_shows_and_no_more(many: set[str]) -> None:
    begins: set[str] = set()

    def between(number: int, page: Page) -> None:
        assert read.call_count <= 101
        read.reset_mock()
        begins.add(page.next.partition(":")[0])

    with mock.patch.object(
        FileStore, "_listed", autospec=True, side_effect=FileStore._listed
    ) as read:
        met = pages(between)
    assert (len(met), set(met)) == (len(many), many)
    # The folder is longer than one block, so that most pages began behind its beginning.
    assert len(begins) > 3


def test_files_that_go_between_two_pages_hide_no_other(many: set[str], tmp_path: Path) -> None:
    def between(number: int, page: Page) -> None:
        if number % 3 == 0:
            for session in page.sessions:
                (tmp_path / f"sessionid{session.key}").unlink()

    met = pages(between)
    assert (len(met), set(met)) == (len(many), many)


def test_files_that_come_between_two_pages_show_no_other_twice(
    many: set[str], tmp_path: Path
) -> None:
    def between(number: int, page: Page) -> None:
        for other in range(100):
            (tmp_path / f"sessionid{number:08}{other:08}").touch()

    met = pages(between)
    assert len(met) == len(set(met))
    assert many <= set(met)


def test_a_page_among_expired_files_looks_so_far_and_no_further(
    many: set[str], tmp_path: Path
) -> None:
    for name in many:
        os.utime(tmp_path / f"sessionid{name}", (0, 0))
    live = {str(stored(a=number).session_key) for number in range(3)}
    with mock.patch.object(
        FileStore, "_listed", autospec=True, side_effect=FileStore._listed
    ) as read:
        met = pages(lambda number, page: read.reset_mock() if read.call_count <= 1001 else 1 / 0)
    assert set(met) == live


def test_no_page_leaves_a_descriptor_open(many: set[str]) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    pages()
    gc.collect()
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_without_offsets_in_folders_it_says_so(engine: Engine) -> None:
    with (
        mock.patch("cookieproj.engines.file_store.os.supports_fd", set()),
        mock.patch("platform.system", return_value="Windows"),
        pytest.raises(NotListableError, match="by pages on Windows"),
    ):
        SessionStore.page()


def test_locks_are_few(engine: Engine, tmp_path: Path) -> None:
    for _ in range(200):
        stored(a=1)
    assert len(list(tmp_path.glob(".sessionid.lock*"))) <= 64
