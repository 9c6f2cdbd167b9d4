"""Recording and comparing the outcomes of a project's tests, without fetching a project."""

import sys
from pathlib import Path

import pytest

from cookieproj.engines.constants import DJANGO_ENGINES, OUR_ENGINES
from tests import figures

from . import __main__, running
from .comparing import Comparison, Outcomes, compare, table
from .projects import NEIGHBOURS, Neighbour
from .recorder import with_middleware
from .running import DidNotRunError, run

# A project whose tests pass or fail depending on the engine.
SUITE = """
from importlib import import_module

from django.conf import settings
from django.test import SimpleTestCase


class Tests(SimpleTestCase):
    def test_our_store(self):
        engine = import_module(settings.SESSION_ENGINE)
        self.assertTrue(engine.SessionStore.__module__.startswith("cookieproj."))

    def test_our_middleware(self):
        with self.subTest():
            [middleware] = settings.MIDDLEWARE
            self.assertTrue(middleware.startswith("cookieproj."))

    def test_skipped(self):
        self.skipTest("on both engines")

    def test_passed(self):
        pass
"""

SAVE_AND_LOAD = """
from importlib import import_module

from django.conf import settings
from django.test import SimpleTestCase


class Tests(SimpleTestCase):
    def test_session_is_saved(self):
        SessionStore = import_module(settings.SESSION_ENGINE).SessionStore
        session = SessionStore()
        session["a"] = 1
        session.save()
        self.assertEqual(SessionStore(session.session_key)["a"], 1)
"""

DUMMY_CACHE = """
CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
"""

BROKEN_FIXTURE = """
import pytest


@pytest.fixture
def broken():
    raise RuntimeError


def test_broken(broken):
    pass
"""

SETTINGS = """
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.sessions"]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
SECRET_KEY = "x"
"""

# Sets its middleware itself, as Django's own runtests.py does.
RUNTESTS = """
import django
from django.conf import settings
from django.test.utils import get_runner

settings.MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
django.setup()
get_runner(settings)().run_tests(["suite"])
"""

COMMANDS = {
    "django": ("-m", "django", "test", "suite"),
    "pytest": ("-m", "pytest", "suite", "-p", "no:cov"),
    "runtests": ("-c", RUNTESTS),
}


def compare_outcomes(djangos: Outcomes, ours: Outcomes) -> Comparison:
    return compare("project", "1.0", djangos, ours)


def lines(comparison: Comparison) -> list[str]:
    return list(table("db", [comparison]))


class TestComparing:
    @pytest.mark.parametrize("djangos", ["passed", "skipped"])
    def test_failure_only_on_our_engine_is_worse(self, djangos: str) -> None:
        comparison = compare_outcomes({"a": djangos, "b": "passed"}, {"a": "failed", "b": "passed"})
        assert comparison.is_worse
        assert comparison.only_ours == ("a",)
        assert "- project: `a`" in lines(comparison)

    def test_failure_on_both_engines_is_not_worse(self) -> None:
        comparison = compare_outcomes(
            {"a": "failed", "b": "passed"}, {"a": "failed", "b": "passed"}
        )
        assert not comparison.is_worse
        assert not any("`a`" in line for line in lines(comparison))

    def test_failure_only_on_djangos_engine_is_not_worse(self) -> None:
        assert not compare_outcomes({"a": "failed"}, {"a": "passed"}).is_worse

    def test_test_missing_on_our_engine_is_worse(self) -> None:
        comparison = compare_outcomes({"a": "passed", "b": "passed"}, {"a": "passed"})
        assert comparison.is_worse
        assert lines(comparison)[-3:] == ["Not run on ours:", "", "- project: `b`"]

    def test_test_missing_on_djangos_engine_is_listed(self) -> None:
        comparison = compare_outcomes({"a": "passed"}, {"a": "passed", "b": "passed"})
        assert not comparison.is_worse
        assert lines(comparison)[-3:] == ["Not run on Django's:", "", "- project: `b`"]

    def test_table_has_counts_and_names_of_failures(self) -> None:
        comparison = compare_outcomes(
            {"a": "passed", "b": "failed", "c": "passed", "d": "skipped"},
            {"a": "passed", "b": "failed", "c": "failed", "d": "skipped"},
        )
        assert lines(comparison) == [
            "| project | Django's `db` | our `db` | failed on ours alone |",
            "| --- | --- | --- | --- |",
            "| project 1.0 | 2 passed, 1 failed, 1 skipped | 1 passed, 2 failed, 1 skipped | 1 |",
            "",
            "Failed on ours alone:",
            "",
            "- project: `c`",
        ]


def test_only_session_middleware_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEIGHBOUR_MIDDLEWARE", "ours")
    names = ("a.CommonMiddleware", "django.contrib.sessions.middleware.SessionMiddleware")
    assert with_middleware(names) == ["a.CommonMiddleware", "ours"]


class TestRunning:
    @pytest.fixture
    def source(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A project's sources, with this project next to them as if it were installed."""
        (tmp_path / "suite").mkdir()
        (tmp_path / "suite" / "__init__.py").touch()
        (tmp_path / "suite" / "test_engine.py").write_text(SUITE)
        (tmp_path / "project_settings.py").write_text(SETTINGS)
        (tmp_path / "cookieproj").symlink_to(figures.ROOT / "cookieproj")
        monkeypatch.delenv("PYTHONPATH", raising=False)
        return tmp_path

    @pytest.mark.parametrize("runner", COMMANDS)
    def test_tests_run_on_the_named_engine(self, source: Path, runner: str) -> None:
        neighbour = Neighbour("suite", "1.0", "project_settings", COMMANDS[runner])
        djangos, ours = (
            run(neighbour, source, package, "db") for package in (DJANGO_ENGINES, OUR_ENGINES)
        )
        assert len(djangos) == len(ours) == 4
        assert {name.rpartition("test_")[2]: outcome for name, outcome in djangos.items()} == {
            "our_store": "failed",
            "our_middleware": "failed",
            "skipped": "skipped",
            "passed": "passed",
        }
        assert sorted(ours.values()) == ["passed", "passed", "passed", "skipped"]

    @pytest.mark.parametrize("package", [DJANGO_ENGINES, OUR_ENGINES])
    def test_sessions_are_saved_if_the_projects_cache_is_a_dummy(
        self, source: Path, package: str
    ) -> None:
        (source / "suite" / "test_engine.py").write_text(SAVE_AND_LOAD)
        (source / "project_settings.py").write_text(SETTINGS + DUMMY_CACHE)
        neighbour = Neighbour("suite", "1.0", "project_settings", COMMANDS["django"])
        assert set(run(neighbour, source, package, "cache").values()) == {"passed"}

    def test_error_in_fixture_is_a_failure(self, source: Path) -> None:
        (source / "suite" / "test_engine.py").write_text(BROKEN_FIXTURE)
        neighbour = Neighbour("suite", "1.0", "project_settings", COMMANDS["pytest"])
        assert run(neighbour, source, OUR_ENGINES, "db") == {
            "suite/test_engine.py::test_broken": "failed"
        }

    @pytest.mark.parametrize(
        ("code", "message"),
        [
            ("raise SystemExit('no such module')", "no such module"),
            ("import time; time.sleep(60)", "not done after 2 seconds"),
            ("import recorder; recorder.write()", "no test was found"),
        ],
    )
    def test_tests_that_did_not_finish_raise_did_not_run_error(
        self, source: Path, monkeypatch: pytest.MonkeyPatch, code: str, message: str
    ) -> None:
        monkeypatch.setattr(running, "MAX_SECONDS", 2)
        neighbour = Neighbour("suite", "1.0", "project_settings", ("-c", code))
        with pytest.raises(DidNotRunError, match=message):
            run(neighbour, source, OUR_ENGINES, "db")


class TestCommand:
    @pytest.fixture(autouse=True)
    def document(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        document = tmp_path / "neighbours.md"
        document.write_text(
            "# Neighbours\n\n<!-- neighbours db -->\nold\n<!-- /neighbours db -->\n"
        )
        monkeypatch.setattr(__main__, "PAGE", document)
        monkeypatch.setattr(figures, "PAGES", [document])
        monkeypatch.setattr(__main__, "version", lambda name: "1.0")
        return document

    def run_command(self, monkeypatch: pytest.MonkeyPatch, ours: str, *arguments: str) -> int:
        def outcome(neighbour: Neighbour, engine: str) -> Comparison:
            if ours == "none":
                raise DidNotRunError
            return compare(neighbour.name, "1.0", {engine: "passed"}, {engine: ours})

        monkeypatch.setattr(__main__, "run_and_compare", outcome)
        monkeypatch.setattr(sys, "argv", ["neighbours", *arguments])
        return __main__.main()

    @pytest.mark.parametrize(("ours", "code"), [("passed", 0), ("failed", 1)])
    def test_command_writes_the_page(
        self, document: Path, monkeypatch: pytest.MonkeyPatch, ours: str, code: int
    ) -> None:
        assert self.run_command(monkeypatch, ours) == code
        text = document.read_text()
        assert "old" not in text
        assert all(neighbour.name in text for neighbour in NEIGHBOURS)
        assert ("Failed on ours alone:" in text) == (ours == "failed")

    def test_new_engine_gets_a_section_on_the_page(
        self, document: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.run_command(monkeypatch, "passed", "--engine", "file")
        self.run_command(monkeypatch, "passed", "--engine", "file")
        text = document.read_text()
        assert text.count("## `file`\n\n<!-- neighbours file -->\n| project |") == 1
        assert "<!-- neighbours db -->\nold\n" in text

    def test_command_with_one_project_does_not_write_the_page(
        self, document: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = document.read_text()
        assert self.run_command(monkeypatch, "passed", "django-otp") == 0
        assert document.read_text() == before
        printed = capsys.readouterr().out
        assert "| django-otp 1.0 |" in printed
        assert "allauth" not in printed

    def test_command_fails_and_leaves_the_page_if_tests_did_not_run(
        self, document: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = document.read_text()
        assert self.run_command(monkeypatch, "none") == 1
        assert document.read_text() == before
