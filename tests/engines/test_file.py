"""The file engine: full disks, file times, file names, locks, and other files in the folder."""

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


def stored_session(store: Any = SessionStore, expiry: Any = None, **data: Any) -> Any:
    session = store()
    session.update(data)
    session.set_expiry(expiry)
    session.save()
    return session


def sessions(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("sessionid*")}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_full_disk_raises_and_keeps_the_stored_session(
    engine: Engine, tmp_path: Path, number: int
) -> None:
    session = stored_session(a=1)
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
def test_write_to_a_full_device_raises_and_keeps_the_stored_session(
    engine: Engine, tmp_path: Path
) -> None:
    session = stored_session(a=1)
    again = SessionStore(session.session_key)
    again["b"] = 2

    def create_on_full_disk(_path: str) -> tuple[int, str]:
        path = tmp_path / "sessionid-on-a-full-disk"
        path.symlink_to("/dev/full")
        return os.open(path, os.O_WRONLY), str(path)

    with (
        mock.patch("cookieproj.engines.file_io.create_temporary", create_on_full_disk),
        pytest.raises(StoreFullError, match=os.strerror(errno.ENOSPC)),
    ):
        again.save()
    assert dict(SessionStore(session.session_key).items()) == {"a": 1}


def test_missing_folder_does_not_end_its_sessions(engine: Engine, tmp_path: Path) -> None:
    """As when a shared file system is not mounted."""
    session = stored_session(a=1)
    elsewhere = tmp_path.rename(tmp_path.with_name("elsewhere"))
    with pytest.raises(StoreMisconfiguredError, match=str(tmp_path)):
        SessionStore(session.session_key).load()
    elsewhere.rename(tmp_path)
    assert SessionStore(session.session_key)["a"] == 1


def test_unreadable_file_does_not_end_its_session(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / f"sessionid{'k' * 32}").mkdir()
    with pytest.raises(StoreUnavailableError, match="directory"):
        SessionStore("k" * 32).load()


def test_files_are_private(engine: Engine, tmp_path: Path) -> None:
    stored_session(a=1).save()
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("expiry", "seconds"), [(None, AGE), (0, AGE), (60, 60), (2 * AGE, 2 * AGE)]
)
@pytest.mark.parametrize("writer", [SessionStore, DjangoStore])
def test_session_expires_after_its_age(
    engine: Engine, tmp_path: Path, writer: Any, expiry: int | None, seconds: int
) -> None:
    """Django's engine ignores a short expiry when it reads, and a long one when it clears."""
    key = stored_session(writer, expiry, a=1).session_key
    with time_machine.travel(timezone.now() + timedelta(seconds=seconds - 5), tick=False):
        assert SessionStore.clear_expired() == 0
        assert SessionStore(key)["a"] == 1
    with time_machine.travel(timezone.now() + timedelta(seconds=seconds + 5), tick=False):
        assert SessionStore(key).load() == {}
        assert SessionStore.clear_expired() == 1
    assert sessions(tmp_path) == set()


def test_session_expires_at_its_date(engine: Engine) -> None:
    moment = timezone.now() + timedelta(days=100)
    key = stored_session(expiry=moment, a=1).session_key
    with time_machine.travel(moment - timedelta(seconds=1), tick=False):
        assert SessionStore(key)["a"] == 1
    with time_machine.travel(moment + timedelta(seconds=1), tick=False):
        assert SessionStore(key).load() == {}


def test_reading_an_expired_session_creates_no_file(engine: Engine, tmp_path: Path) -> None:
    key = stored_session(expiry=-60, a=1).session_key
    before = sessions(tmp_path)
    assert SessionStore(key).load() == {}
    assert sessions(tmp_path) == before


def test_saving_moves_the_expiry(engine: Engine) -> None:
    key = stored_session(expiry=60, a=1).session_key
    start = timezone.now()
    for seconds in (50, 100, 150):
        with time_machine.travel(start + timedelta(seconds=seconds), tick=False):
            SessionStore(key).save()
    with time_machine.travel(start + timedelta(seconds=200), tick=False):
        assert SessionStore(key)["a"] == 1


def test_clearing_opens_no_file_with_a_decisive_time(engine: Engine) -> None:
    keys = [stored_session(a=1).session_key for _ in range(3)]
    with mock.patch.object(SessionStore, "decode", side_effect=AssertionError):
        assert SessionStore.clear_expired() == 0
    with (
        time_machine.travel(timezone.now() + timedelta(seconds=AGE + 5), tick=False),
        mock.patch.object(SessionStore, "decode", side_effect=AssertionError),
    ):
        assert SessionStore.clear_expired() == 3
    assert not any(SessionStore().exists(key) for key in keys)


def test_session_saved_during_clearing_is_kept(engine: Engine) -> None:
    """The save comes after clearing has found the session expired."""
    key = stored_session(expiry=-60, a=1).session_key
    session = SessionStore()
    saved = mock.patch.object(FileStore, "_has_expired", side_effect=[True, False])
    with saved:
        assert SessionStore.clear_expired() == 0
    assert session.exists(key)


def test_clearing_and_listing_ignore_other_files(engine: Engine, tmp_path: Path) -> None:
    for name in ("notes.txt", "sessionid", "sessionid.bak", "other" + "k" * 32):
        (tmp_path / name).write_text("mine")
    os.utime(tmp_path / "sessionid.bak", (0, 0))
    assert SessionStore.clear_expired() == 0
    assert list(SessionStore.walk()) == []
    assert {path.name for path in tmp_path.iterdir() if path.suffix} >= {"notes.txt"}
    assert (tmp_path / "sessionid.bak").exists()


def test_file_of_an_interrupted_write_is_cleared_after_an_hour(
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
    """Django's engine creates such a file before it writes."""
    (tmp_path / f"sessionid{'k' * 32}").touch()
    session = SessionStore("k" * 32)
    assert session.load() == {}
    assert session.session_key == "k" * 32


@pytest.mark.parametrize("content", [b"\xff\xfe", b"not signed", b"a:b:c"])
def test_undecodable_file_has_no_data(engine: Engine, tmp_path: Path, content: bytes) -> None:
    (tmp_path / f"sessionid{'k' * 32}").write_bytes(content)
    assert SessionStore("k" * 32).load() == {}


@pytest.mark.parametrize("key", ["../../etc/passwd", "a/b/c/d/e", "ABCDEFGHIJ", ".lock00....."])
def test_key_cannot_name_a_file_outside_the_folder(engine: Engine, key: str) -> None:
    session = SessionStore(key)
    assert session.session_key is None
    assert session.load() == {}
    for act in (session.exists, session.delete):
        with pytest.raises(InvalidSessionKey):
            act(key)


def test_each_user_has_separate_locks_in_a_world_writable_folder(
    engine: Engine, tmp_path: Path
) -> None:
    tmp_path.chmod(0o1777)
    stored_session(a=1)
    (lock,) = tmp_path.glob(".sessionid.lock*")
    assert lock.name.endswith(f".{os.geteuid()}")


def test_lock_belongs_to_the_owner_of_the_folder(engine: Engine, tmp_path: Path) -> None:
    owner = 65534 if os.geteuid() == 0 else os.geteuid()
    os.chown(tmp_path, owner, -1)
    stored_session(a=1)
    (lock,) = tmp_path.glob(".sessionid.lock*")
    assert lock.stat().st_uid == owner


@pytest.mark.parametrize("use_tz", [True, False])
def test_expiry_date_survives_a_change_of_use_tz(
    engine: Engine, settings: Settings, use_tz: bool
) -> None:
    settings.USE_TZ = use_tz
    key = stored_session(expiry=timezone.now() + timedelta(days=2), a=1).session_key
    settings.USE_TZ = not use_tz
    assert SessionStore(key)["a"] == 1


@pytest.fixture
def many_keys(engine: Engine, tmp_path: Path) -> set[str]:
    """So many session files that the folder takes several blocks."""
    names = {f"{number:032}" for number in range(5000)}
    for name in names:
        (tmp_path / f"sessionid{name}").touch()
    return names


def keys_on_all_pages(
    between: Callable[[int, Page], object] = lambda number, page: None,
) -> list[str]:
    """Return the keys on all pages, and call ``between`` after each."""
    keys: list[str] = []
    position = ""
    for number in range(1000):
        page = SessionStore.page(position, 100)
        keys += [session.key for session in page.sessions]
        between(number, page)
        position = page.next
        if not position:
            return keys
    raise AssertionError


def test_page_reads_only_the_files_that_it_lists(many_keys: set[str]) -> None:
    starts: set[str] = set()

    def between(number: int, page: Page) -> None:
        assert read.call_count <= 101
        read.reset_mock()
        starts.add(page.next.partition(":")[0])

    with mock.patch.object(
        FileStore, "_listed", autospec=True, side_effect=FileStore._listed
    ) as read:
        keys = keys_on_all_pages(between)
    assert (len(keys), set(keys)) == (len(many_keys), many_keys)
    # The folder takes several blocks, so most pages start in a later one.
    assert len(starts) > 3


def test_files_deleted_between_pages_hide_no_other_file(
    many_keys: set[str], tmp_path: Path
) -> None:
    def between(number: int, page: Page) -> None:
        if number % 3 == 0:
            for session in page.sessions:
                (tmp_path / f"sessionid{session.key}").unlink()

    keys = keys_on_all_pages(between)
    assert (len(keys), set(keys)) == (len(many_keys), many_keys)


def test_files_created_between_pages_repeat_no_other_file(
    many_keys: set[str], tmp_path: Path
) -> None:
    def between(number: int, page: Page) -> None:
        for other in range(100):
            (tmp_path / f"sessionid{number:08}{other:08}").touch()

    keys = keys_on_all_pages(between)
    assert len(keys) == len(set(keys))
    assert many_keys <= set(keys)


def test_page_among_expired_files_reads_a_limited_number(
    many_keys: set[str], tmp_path: Path
) -> None:
    for name in many_keys:
        os.utime(tmp_path / f"sessionid{name}", (0, 0))
    live = {str(stored_session(a=number).session_key) for number in range(3)}
    with mock.patch.object(
        FileStore, "_listed", autospec=True, side_effect=FileStore._listed
    ) as read:
        keys = keys_on_all_pages(
            lambda number, page: read.reset_mock() if read.call_count <= 1001 else 1 / 0
        )
    assert set(keys) == live


def test_no_page_leaves_a_descriptor_open(many_keys: set[str]) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    keys_on_all_pages()
    gc.collect()
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_page_raises_if_folders_have_no_offsets(engine: Engine) -> None:
    with (
        mock.patch("cookieproj.engines.file_store.os.supports_fd", set()),
        mock.patch("platform.system", return_value="Windows"),
        pytest.raises(NotListableError, match="by pages on Windows"),
    ):
        SessionStore.page()


def test_number_of_locks_is_limited(engine: Engine, tmp_path: Path) -> None:
    for _ in range(200):
        stored_session(a=1)
    assert len(list(tmp_path.glob(".sessionid.lock*"))) <= 64
