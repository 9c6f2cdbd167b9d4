"""Two names of one store: ``movesessions`` must not delete there what it has just stored."""

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

from .test_movesessions import moved, run, store, stored

pytestmark = pytest.mark.usefixtures("db", "empty_stores")


def hand_over_from(settings: Settings, cache: dict[str, Any]) -> None:
    settings.CACHES = {**settings.CACHES, "handover": cache}
    settings.SESSION_HANDOVER_CACHE_ALIAS = "handover"


@pytest.fixture
def by_another_name(settings: Settings, empty_stores: None, redis_url: str) -> None:
    """The handover cache is the Redis of the sessions, by another name of its host."""
    url = redis_url.replace("127.0.0.1", "localhost")
    assert url != redis_url
    hand_over_from(settings, previous_cache(f"{url}/1"))


@pytest.mark.parametrize("option", [[], ["--keep"], ["--dry-run"]])
def test_a_redis_by_two_names(settings: Settings, by_another_name: None, option: list[str]) -> None:
    run(settings, "cache", "cache")
    keys = [stored("cache", number=number) for number in range(3)]
    with pytest.raises(CommandError) as caught:
        moved("cache", "cache", *option)
    assert "Both keep their sessions in Redis localhost" in str(caught.value)
    assert [store("cache")(key)["number"] for key in keys] == [0, 1, 2]
    # The session of the probe is deleted too.
    assert store("cache").count() == 3


def test_what_the_site_runs_on_is_kept_by_whatever_name(
    settings: Settings, by_another_name: None
) -> None:
    run(settings, "cache")
    key = stored("cache", a=1)
    said = moved("cache", "db")
    assert "1 copied" in said
    assert "The site runs on the originals" in said
    assert store("cache")(key)["a"] == 1
    assert store("cache").count() == 1


def test_also_by_the_alias_that_it_has_anyway(settings: Settings) -> None:
    settings.SESSION_HANDOVER_CACHE_ALIAS = settings.SESSION_CACHE_ALIAS
    run(settings, "cache")
    key = stored("cache", a=1)
    assert "1 copied" in moved("cache", "db")
    assert store("cache")(key)["a"] == 1
    with pytest.raises(CommandError, match="Both are cache"):
        moved("cache", "cache")


def test_a_copy_never_takes_the_place_of_its_original(settings: Settings, redis_url: str) -> None:
    """They can be moved from one serializer to another: see TestHomes."""
    key = "k" * 32
    sessions = Redis.from_url(f"{redis_url}/1")
    sessions.set(f":1:django.contrib.sessions.cache{key}", pickle.dumps({"a": 1}), ex=3600)
    hand_over_from(settings, previous_cache(f"{redis_url}/1?serializer=pickle"))
    run(settings, "cache", "cache")
    with pytest.raises(CommandError) as caught:
        moved("cache", "cache", "--keep")
    assert "Both keep their sessions in Redis" in str(caught.value)
    assert Browser(key).read() == {"a": 1}


class TestUnreachable:
    @pytest.fixture(autouse=True)
    def nobody_there(self, settings: Settings, empty_stores: None) -> None:
        run(settings, "cache", "cache")
        there = previous_cache("redis://127.0.0.1:1/1")
        settings.CACHES = {**settings.CACHES, "sessions": there}
        hand_over_from(settings, previous_cache("redis://localhost:1/1"))

    def test_a_process_starts_and_asks_nothing(self) -> None:
        assert session_store().__name__ == "SessionStore"

    def test_the_command_says_so(self) -> None:
        with pytest.raises(CommandError) as caught:
            moved("cache", "cache")
        assert "Redis 127.0.0.1:1/1" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "backend",
    ["locmem.LocMemCache", "filebased.FileBasedCache", "db.DatabaseCache"],
)
@pytest.mark.parametrize("is_one", [True, False])
def test_caches_of_which_only_the_location_is_known(
    settings: Settings, tmp_path: Path, backend: str, is_one: bool
) -> None:
    def cache(name: str) -> dict[str, Any]:
        location = tmp_path / name if "file" in backend else name
        return {"BACKEND": f"django.core.cache.backends.{backend}", "LOCATION": str(location)}

    settings.CACHES = {**settings.CACHES, "sessions": cache("one")}
    hand_over_from(settings, cache("one" if is_one else "other"))
    found = why_same_store(handover_engine("cache"), handover_engine("cache", "handover"))
    assert bool(found) == is_one


def engine_of(store: type[Any], monkeypatch: pytest.MonkeyPatch) -> str:
    module: Any = ModuleType("sessions_of_the_site")
    module.SessionStore = store
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return str(module.__name__)


def test_a_folder_by_two_names(
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

    run(settings, "file")
    key = stored("file", a=1)
    with pytest.raises(CommandError, match="Both keep their sessions in folder"):
        moved("file", engine_of(SessionStore, monkeypatch))
    assert store("file")(key)["a"] == 1


class Proxy(Session):
    class Meta:
        proxy = True
        app_label = "sessions"


@pytest.mark.parametrize("option", [[], ["--keep"]])
def test_rows_by_two_models(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, option: list[str]
) -> None:
    class SessionStore(DBStore):
        @classmethod
        def get_model_class(cls) -> Any:
            return Proxy

    engine = engine_of(SessionStore, monkeypatch)
    run(settings, "cached_db")
    key = stored("db", a=1)
    assert share_rows(handover_engine("db"), handover_engine(engine))
    assert "0 copied, 1 there already" in moved("db", engine, *option)
    assert store("db")(key)["a"] == 1
