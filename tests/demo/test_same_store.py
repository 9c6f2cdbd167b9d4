"""``movesessions`` recognizes one store under two names, so it deletes nothing that it moved."""

import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.management import CommandError
from pytest_django import Settings
from redis import Redis

from cookieproj.engines.db import SessionStore as DBStore
from cookieproj.engines.file import SessionStore as FileStore
from cookieproj.engines.handover import session_store
from cookieproj.engines.handover.movable_engines import handover_engine
from cookieproj.engines.handover.same_store import share_rows, why_same_store
from cookieproj.settings.caches import previous_cache
from tests.conftest import forget_folder
from tests.engines.handover_switch import Browser

from .test_movesessions import engine_class, move, save_session, use_engine

pytestmark = pytest.mark.usefixtures("db", "empty_stores")


def hand_over_from(settings: Settings, cache: dict[str, Any]) -> None:
    settings.CACHES = {**settings.CACHES, "handover": cache}
    settings.SESSION_HANDOVER_CACHE_ALIAS = "handover"


@pytest.fixture
def redis_by_another_name(settings: Settings, empty_stores: None, redis_url: str) -> None:
    """The handover cache is the Redis of the sessions, by another name of its host."""
    url = redis_url.replace("127.0.0.1", "localhost")
    assert url != redis_url
    hand_over_from(settings, previous_cache(f"{url}/1"))


@pytest.mark.parametrize("option", [[], ["--keep"], ["--dry-run"]])
def test_redis_with_two_host_names_is_recognized(
    settings: Settings, redis_by_another_name: None, option: list[str]
) -> None:
    use_engine(settings, "cache", "cache")
    keys = [save_session("cache", number=number) for number in range(3)]
    with pytest.raises(CommandError) as error:
        move("cache", "cache", *option)
    assert "Both keep their sessions in Redis localhost" in str(error.value)
    assert [engine_class("cache")(key)["number"] for key in keys] == [0, 1, 2]
    # The session of the probe is deleted too.
    assert engine_class("cache").count() == 3


def test_sessions_of_running_engine_are_kept(
    settings: Settings, redis_by_another_name: None
) -> None:
    use_engine(settings, "cache")
    key = save_session("cache", a=1)
    output = move("cache", "db")
    assert "1 copied" in output
    assert "The site runs on the originals" in output
    assert engine_class("cache")(key)["a"] == 1
    assert engine_class("cache").count() == 1


def test_handover_alias_may_be_alias_of_sessions(settings: Settings) -> None:
    settings.SESSION_HANDOVER_CACHE_ALIAS = settings.SESSION_CACHE_ALIAS
    use_engine(settings, "cache")
    key = save_session("cache", a=1)
    assert "1 copied" in move("cache", "db")
    assert engine_class("cache")(key)["a"] == 1
    with pytest.raises(CommandError, match="Both are cache"):
        move("cache", "cache")


def test_copy_does_not_replace_original(settings: Settings, redis_url: str) -> None:
    """Without --keep, sessions move from one serializer to another: see TestPreviousCache."""
    key = "k" * 32
    sessions = Redis.from_url(f"{redis_url}/1")
    sessions.set(f":1:django.contrib.sessions.cache{key}", pickle.dumps({"a": 1}), ex=3600)
    hand_over_from(settings, previous_cache(f"{redis_url}/1?serializer=pickle"))
    use_engine(settings, "cache", "cache")
    with pytest.raises(CommandError) as error:
        move("cache", "cache", "--keep")
    assert "Both keep their sessions in Redis" in str(error.value)
    assert Browser(key).read() == {"a": 1}


class TestUnreachable:
    @pytest.fixture(autouse=True)
    def unreachable_redis(self, settings: Settings, empty_stores: None) -> None:
        use_engine(settings, "cache", "cache")
        unreachable = previous_cache("redis://127.0.0.1:1/1")
        settings.CACHES = {**settings.CACHES, "sessions": unreachable}
        hand_over_from(settings, previous_cache("redis://localhost:1/1"))

    def test_process_starts_without_asking_redis(self) -> None:
        assert session_store().__name__ == "SessionStore"

    def test_command_reports_unreachable_redis(self) -> None:
        with pytest.raises(CommandError) as error:
            move("cache", "cache")
        assert "Redis 127.0.0.1:1/1" in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "backend",
    ["locmem.LocMemCache", "filebased.FileBasedCache", "db.DatabaseCache"],
)
@pytest.mark.parametrize("is_same", [True, False])
def test_caches_are_compared_by_location(
    settings: Settings, tmp_path: Path, backend: str, is_same: bool
) -> None:
    def cache(name: str) -> dict[str, Any]:
        location = tmp_path / name if "file" in backend else name
        return {"BACKEND": f"django.core.cache.backends.{backend}", "LOCATION": str(location)}

    settings.CACHES = {**settings.CACHES, "sessions": cache("one")}
    hand_over_from(settings, cache("one" if is_same else "other"))
    reason = why_same_store(handover_engine("cache"), handover_engine("cache", "handover"))
    assert bool(reason) == is_same


def engine_of(session_store_class: type[Any], monkeypatch: pytest.MonkeyPatch) -> str:
    module: Any = ModuleType("sessions_of_the_site")
    module.SessionStore = session_store_class
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return str(module.__name__)


def test_folder_with_two_paths_is_recognized(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "link"
    settings.SESSION_FILE_PATH = tmp_path / "sessions"
    settings.SESSION_FILE_PATH.mkdir()
    link.symlink_to(settings.SESSION_FILE_PATH)
    forget_folder()

    class SessionStore(FileStore):
        @classmethod
        def _get_storage_path(cls) -> str:
            return str(link)

    use_engine(settings, "file")
    key = save_session("file", a=1)
    with pytest.raises(CommandError, match="Both keep their sessions in folder"):
        move("file", engine_of(SessionStore, monkeypatch))
    assert engine_class("file")(key)["a"] == 1


class Proxy(Session):
    class Meta:
        proxy = True
        app_label = "sessions"


@pytest.mark.parametrize("option", [[], ["--keep"]])
def test_table_with_two_models_is_recognized(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, option: list[str]
) -> None:
    class SessionStore(DBStore):
        @classmethod
        def get_model_class(cls) -> Any:
            return Proxy

    engine = engine_of(SessionStore, monkeypatch)
    use_engine(settings, "cached_db")
    key = save_session("db", a=1)
    assert share_rows(handover_engine("db"), handover_engine(engine))
    assert "0 copied, 1 there already" in move("db", engine, *option)
    assert engine_class("db")(key)["a"] == 1
