"""The engine registry finds the engine for a name, a path or SESSION_ENGINE."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.management import CommandError, call_command
from pytest_django import Settings

from cookieproj.engines import file
from cookieproj.engines.checks import engine_is_there
from cookieproj.engines.constants import (
    DJANGO_ENGINE_NAMES,
    DJANGO_ENGINES,
    ENGINE_NAMES,
    OUR_ENGINES,
)
from cookieproj.engines.engine_registry import EngineRef, current_engine, resolve_engine
from cookieproj.engines.file_store import FileStore
from cookieproj.engines.handover.movable_engines import handover_engine
from cookieproj.engines.store_probe import without_cache
from cookieproj.settings.caches import caches as caches_of
from tests.conftest import forget_folder

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ENGINE_NAMES)
def test_name_resolves_to_our_engine(name: str) -> None:
    engine = resolve_engine(name)
    assert engine == EngineRef(f"{OUR_ENGINES}{name}")
    assert engine.session_class is import_module(f"cookieproj.engines.{name}").SessionStore


@pytest.mark.parametrize(
    ("path", "name", "label", "is_djangos"),
    [
        ("cookieproj.engines.cached_db", "cached_db", "cached_db", False),
        (
            "django.contrib.sessions.backends.cached_db",
            "cached_db",
            "django.contrib.sessions.backends.cached_db",
            True,
        ),
        ("shop.cached_db", "shop.cached_db", "shop.cached_db", False),
    ],
)
def test_path_has_name_label_and_family(path: str, name: str, label: str, is_djangos: bool) -> None:
    engine = resolve_engine(path)
    assert (engine.path, engine.name, engine.label) == (path, name, label)
    assert engine.is_djangos == is_djangos


@pytest.mark.parametrize("family", [OUR_ENGINES, DJANGO_ENGINES])
def test_of_returns_engine_of_same_name_in_family(family: str) -> None:
    for other in (OUR_ENGINES, DJANGO_ENGINES):
        assert EngineRef(f"{other}file", "old").of(family) == EngineRef(f"{family}file", "old")
        assert EngineRef(f"{other}base").of(family) == EngineRef(f"{other}base")
    assert EngineRef("shop.file").of(family) == EngineRef("shop.file")


def test_current_engine_is_session_engine(settings: Settings) -> None:
    for path in (f"{OUR_ENGINES}file", f"{DJANGO_ENGINES}db", "shop.file"):
        settings.SESSION_ENGINE = path
        assert current_engine() == EngineRef(path)


def test_has_cache_and_is_held_by_browser() -> None:
    for family, names, in_browser in (
        (OUR_ENGINES, ENGINE_NAMES, ["signed_cookies", "encrypted_cookies"]),
        (DJANGO_ENGINES, DJANGO_ENGINE_NAMES, ["signed_cookies"]),
    ):
        engines = [EngineRef(f"{family}{name}") for name in names]
        assert [engine.name for engine in engines if engine.has_cache] == ["cache", "cached_db"]
        assert [engine.name for engine in engines if engine.is_held_by_browser] == in_browser


WITHOUT_ENGINE = "tests.engines.writer"

# Missing modules, modules without a session engine, and impossible names.
INVALID_NAMES = [
    "nowhere",
    "nowhere.db",
    "cookieproj.engines.base",
    WITHOUT_ENGINE,
    "",
    ".",
    ".db",
    "..",
    "a\0b",
]


@pytest.mark.parametrize("name", INVALID_NAMES)
class TestInvalidName:
    def test_raises_import_error(self, name: str) -> None:
        with pytest.raises(ImportError):
            _ = resolve_engine(name).session_class

    def test_fails_check(self, settings: Settings, name: str) -> None:
        settings.SESSION_ENGINE = name
        [error] = engine_is_there()
        assert f"SESSION_ENGINE = {name!r} is no session engine" in error.msg

    @pytest.mark.django_db
    def test_raises_command_error(self, name: str) -> None:
        with pytest.raises(CommandError, match="Sessions cannot be moved to or from"):
            call_command("movesessions", f"--from={name}", "--to=db")
        with pytest.raises(CommandError, match="is no engine: db, cache, file"):
            call_command("benchsessions", f"--engine={name}")


class TestStoreWithoutHandover:
    @pytest.fixture(autouse=True)
    def second_cache(self, settings: Settings, redis_url: str, tmp_path: Path) -> None:
        settings.SESSION_FILE_PATH = tmp_path
        settings.CACHES = caches_of(f"{redis_url}/0") | {
            "old": caches_of(f"{redis_url}/3")["sessions"]
        }

    @pytest.mark.parametrize("alias", ["", "old"])
    @pytest.mark.parametrize("name", ENGINE_NAMES)
    def test_is_same_class_each_time(self, name: str, alias: str) -> None:
        assert (
            EngineRef(f"{OUR_ENGINES}{name}", alias).store
            is EngineRef(f"{OUR_ENGINES}{name}", alias).store
        )
        assert handover_engine(name, alias).store is handover_engine(name, alias).store

    def test_is_class_that_probe_uses(self) -> None:
        assert without_cache(file.SessionStore) is resolve_engine("file").store

    def test_uses_cache_of_alias(self) -> None:
        for alias in ("old", ""):
            assert handover_engine("cache", alias).store()._cache is caches[alias or "sessions"]
        assert (
            handover_engine("db", "old")
            == handover_engine("db", "sessions")
            == resolve_engine("db")
        )
        assert handover_engine("cache", "sessions") == resolve_engine("cache")

    def test_changes_with_settings(self, settings: Settings, tmp_path: Path) -> None:
        forget_folder()
        before = resolve_engine("file").store
        assert FileStore(before()).folder.path == tmp_path
        settings.SESSION_FILE_PATH = tmp_path.parent
        after = resolve_engine("file").store
        assert after is not before
        assert FileStore(after()).folder.path == tmp_path.parent

    def test_has_no_handover(self, settings: Settings) -> None:
        settings.SESSION_ENGINE, settings.SESSION_HANDOVER_FROM = f"{OUR_ENGINES}db", "file"
        assert type(current_engine().store()) is current_engine().store
        without_handover: Any = current_engine().store()
        with_handover: Any = current_engine().session_class()
        assert type(without_handover._store) is type(without_handover.make_store())
        assert type(with_handover._store) is not type(with_handover.make_store())


# The recipe shows the code that Django's documentation recommends.
RESOLVING_FILES = {"cookieproj/engines/engine_registry.py", "demo/recipes/in_path.py"}
# It imports the function that SESSION_REVOCATION_CHECK names.
RESOLVING_FILES |= {"cookieproj/engines/revocation_check.py"}

RESOLVES = re.compile(
    r"""import_(module|string)\([^)]*(SESSION_ENGINE|SessionStore|\bpath\b)
    | import_module\([^)]*\)\.SessionStore
    | \b(removeprefix|startswith|replace)\((OURS|DJANGOS)\b
    | SESSION_ENGINE\.\w+\(""",
    re.VERBOSE,
)


DOCSTRING = re.compile(r'"""[^"]*"""')


def test_only_registry_resolves_names() -> None:
    packages = (ROOT / "cookieproj/engines", ROOT / "demo")
    resolving = {
        path.relative_to(ROOT).as_posix()
        for package in packages
        for path in package.rglob("*.py")
        if RESOLVES.search(DOCSTRING.sub("", path.read_text()))
    }
    assert resolving == RESOLVING_FILES
