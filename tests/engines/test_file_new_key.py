"""The file engine: a session with a new key shares its file with the old one until its save."""

import errno
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.contrib.sessions.backends.base import CreateError
from django.utils import timezone
from pytest_django import Settings

from cookieproj.engines.constants import COPY_MARK, SESSION_TOMBSTONE
from cookieproj.engines.file import SessionStore
from cookieproj.engines.file_store import FileStore

from .contract import Engine, on_engines

pytestmark = on_engines(lambda engine: engine.ours and engine.name == "file")


def read_session(engine: Any = SessionStore, **data: Any) -> Any:
    """Return a stored session that a request has read."""
    data = data or {"a": 1}
    session = engine()
    session.update(data)
    session.save()
    session = engine(session.session_key)
    assert dict(session.items()) == data
    # As under SessionMiddleware: the old key is ended by the save.
    session.save_follows = True
    return session


def file_of(folder: Path, key: Any) -> Path:
    return folder / f"sessionid{key}"


def shares_file(folder: Path, old_key: Any, new_key: Any) -> bool:
    return file_of(folder, old_key).samefile(file_of(folder, new_key))


def with_new_key(session: Any) -> tuple[Any, Any]:
    """Give the session a new key. Return the old one and the new one."""
    old_key = session.session_key
    session.cycle_key()
    assert old_key != session.session_key
    return old_key, session.session_key


def test_new_key_shares_the_file_until_the_save(engine: Engine, tmp_path: Path) -> None:
    session = read_session()
    keys = with_new_key(session)
    assert shares_file(tmp_path, *keys)
    assert [dict(SessionStore(key).items()) for key in keys] == [{"a": 1}, {"a": 1}]
    session["b"] = 2
    session.save()
    assert not file_of(tmp_path, keys[0]).exists()
    assert dict(SessionStore(keys[1]).items()) == {"a": 1, "b": 2}
    assert file_of(tmp_path, keys[1]).stat().st_nlink == 1


def test_new_key_outlasts_the_old_one_without_a_save_that_follows(
    engine: Engine, tmp_path: Path
) -> None:
    session = read_session()
    session.save_follows = False
    old_key, new_key = with_new_key(session)
    assert not file_of(tmp_path, old_key).exists()
    assert dict(SessionStore(new_key).items()) == {"a": 1}


def test_new_key_has_a_full_age(engine: Engine) -> None:
    session = read_session()
    age = timedelta(seconds=session.get_session_cookie_age())
    start = timezone.now()
    with time_machine.travel(start + age - timedelta(seconds=5), tick=False):
        _old_key, new_key = with_new_key(session)
    with time_machine.travel(start + age + timedelta(seconds=5), tick=False):
        assert SessionStore(new_key)["a"] == 1


def test_write_under_one_key_does_not_change_the_other(engine: Engine, tmp_path: Path) -> None:
    session = read_session()
    old_key, new_key = with_new_key(session)
    other = SessionStore(old_key)
    other["c"] = 3
    other.save()
    assert dict(SessionStore(new_key).items()) == {"a": 1}
    session["b"] = 2
    session.save()
    assert dict(SessionStore(new_key).items()) == {"a": 1, "b": 2, "c": 3}


class OwnFiles(SessionStore):
    def _key_to_file(self, session_key: str | None = None) -> str:
        return str(super()._key_to_file(session_key))  # type: ignore[misc]


class OwnEncoding(SessionStore):
    def encode(self, session_dict: dict[str, Any]) -> str:
        return str(super().encode(session_dict))


class OwnDecoding(SessionStore):
    def decode(self, session_data: Any) -> dict[str, Any]:
        return dict(super().decode(session_data))


@pytest.mark.parametrize("engine_class", [OwnFiles, OwnEncoding, OwnDecoding])
def test_subclass_with_own_files_shares_none(
    engine: Engine, tmp_path: Path, engine_class: type[SessionStore]
) -> None:
    keys = with_new_key(read_session(engine_class))
    assert not shares_file(tmp_path, *keys)
    assert dict(engine_class(keys[1]).items()) == {"a": 1}


def change_data(session: Any) -> None:
    session["b"] = 2


def save_elsewhere(session: Any) -> None:
    other = SessionStore(session.session_key)
    other["c"] = 3
    other.save()


def end_elsewhere(session: Any) -> None:
    SessionStore(session.session_key).delete()


def move_elsewhere(session: Any) -> None:
    store = FileStore(session)
    entry = store.read(session.session_key)
    assert entry
    expires = session.get_expiry_date()
    assert store.compare_and_swap(session.session_key, entry, SESSION_TOMBSTONE, expires)


def replace_by_link(session: Any) -> None:
    path = Path(session._key_to_file())
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


@pytest.mark.parametrize(
    "change", [change_data, save_elsewhere, end_elsewhere, move_elsewhere, replace_by_link]
)
def test_changed_session_shares_no_file(
    engine: Engine, tmp_path: Path, change: Callable[[Any], None]
) -> None:
    session = read_session()
    change(session)
    expected = dict(session.items())
    _old_key, new_key = with_new_key(session)
    assert file_of(tmp_path, new_key).stat().st_nlink == 1
    assert not file_of(tmp_path, new_key).is_symlink()
    assert dict(SessionStore(new_key).items()) == expected


def test_empty_session_shares_no_file(engine: Engine, tmp_path: Path) -> None:
    """Its file may be damaged."""
    file_of(tmp_path, "k" * 32).write_bytes(b"damaged")
    session = SessionStore("k" * 32)
    assert dict(session.items()) == {}
    session.save_follows = True
    keys = with_new_key(session)
    assert not shares_file(tmp_path, *keys)


def test_mark_of_a_handover_is_not_shared(
    engine: Engine, tmp_path: Path, settings: Settings
) -> None:
    key = read_session(a=1, **{COPY_MARK: "mark"}).session_key
    settings.SESSION_ENGINE = "cookieproj.engines.file"
    settings.SESSION_HANDOVER_FROM = "cache"
    session = SessionStore(key)
    assert dict(session.items()) == {"a": 1}
    session.save_follows = True
    _old_key, new_key = with_new_key(session)
    settings.SESSION_HANDOVER_FROM = ""
    assert dict(SessionStore(new_key).items()) == {"a": 1}


@pytest.mark.parametrize("number", [errno.EPERM, errno.EMLINK, errno.EXDEV, errno.EOPNOTSUPP])
def test_file_system_without_hard_links_shares_no_file(
    engine: Engine, tmp_path: Path, number: int
) -> None:
    session = read_session()
    refusal = OSError(number, os.strerror(number))
    with mock.patch("cookieproj.engines.session_files.os.link", side_effect=refusal):
        keys = with_new_key(session)
    assert not shares_file(tmp_path, *keys)
    assert dict(SessionStore(keys[1]).items()) == {"a": 1}


def test_taken_key_is_refused(engine: Engine) -> None:
    session, other = read_session(), read_session(b=2)
    store = FileStore(session)
    entry = store.read(session.session_key)
    assert entry
    with pytest.raises(CreateError):
        store.insert_before_save(
            other.session_key,
            {"a": 1},
            session.get_expiry_date(),
            (session.session_key, entry),
        )
    assert dict(SessionStore(other.session_key).items()) == {"b": 2}
