"""The comparison and its table, and that a suite's outcomes are read; no project is fetched."""

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

# A project whose tests pass or fail by the engine that they run on.
SUITE = """
from importlib import import_module

from django.conf import settings
from django.test import SimpleTestCase


class Tests(SimpleTestCase):
    def test_a_store_of_ours(self):
        engine = import_module(settings.SESSION_ENGINE)
        self.assertTrue(engine.SessionStore.__module__.startswith("cookieproj."))

    def test_a_middleware_of_ours(self):
        with self.subTest():
            [middleware] = settings.MIDDLEWARE
            self.assertTrue(middleware.startswith("cookieproj."))

    def test_neither(self):
        self.skipTest("on neither")

    def test_both(self):
        pass
"""

KEEPING = """
from importlib import import_module

from django.conf import settings
from django.test import SimpleTestCase


class Tests(SimpleTestCase):
    def test_it(self):
        SessionStore = import_module(settings.SESSION_ENGINE).SessionStore
        session = SessionStore()
        session["a"] = 1
        session.save()
        self.assertEqual(SessionStore(session.session_key)["a"], 1)
"""

DUMMY = """
CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
"""

FIXTURE = """
import pytest


@pytest.fixture
def broken():
    raise RuntimeError


def test_it(broken):
    pass
"""

SETTINGS = """
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.sessions"]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
SECRET_KEY = "x"
"""

# As Django's own runtests.py, which names its middleware itself.
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


def compared(djangos: Outcomes, ours: Outcomes) -> Comparison:
    return compare("project", "1.0", djangos, ours)


def lines(comparison: Comparison) -> list[str]:
    return list(table("db", [comparison]))


class TestComparing:
    @pytest.mark.parametrize("djangos", ["passed", "skipped"])
    def test_a_failure_on_ours_alone_is_a_fault(self, djangos: str) -> None:
        made = compared({"a": djangos, "b": "passed"}, {"a": "failed", "b": "passed"})
        assert made.is_worse
        assert made.only_ours == ("a",)
        assert "- project: `a`" in lines(made)

    def test_a_failure_on_both_is_none(self) -> None:
        made = compared({"a": "failed", "b": "passed"}, {"a": "failed", "b": "passed"})
        assert not made.is_worse
        assert not any("`a`" in line for line in lines(made))

    def test_nor_is_one_on_djangos_alone(self) -> None:
        assert not compared({"a": "failed"}, {"a": "passed"}).is_worse

    def test_a_test_that_does_not_run_on_ours_is_a_fault(self) -> None:
        made = compared({"a": "passed", "b": "passed"}, {"a": "passed"})
        assert made.is_worse
        assert lines(made)[-3:] == ["Not run on ours:", "", "- project: `b`"]

    def test_one_that_runs_on_ours_alone_is_told(self) -> None:
        made = compared({"a": "passed"}, {"a": "passed", "b": "passed"})
        assert not made.is_worse
        assert lines(made)[-3:] == ["Not run on Django's:", "", "- project: `b`"]

    def test_the_table(self) -> None:
        made = compared(
            {"a": "passed", "b": "failed", "c": "passed", "d": "skipped"},
            {"a": "passed", "b": "failed", "c": "failed", "d": "skipped"},
        )
        assert lines(made) == [
            "| project | Django's `db` | our `db` | failed on ours alone |",
            "| --- | --- | --- | --- |",
            "| project 1.0 | 2 passed, 1 failed, 1 skipped | 1 passed, 2 failed, 1 skipped | 1 |",
            "",
            "Failed on ours alone:",
            "",
            "- project: `c`",
        ]


def test_the_session_middleware_alone_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEIGHBOUR_MIDDLEWARE", "ours")
    named = ("a.CommonMiddleware", "django.contrib.sessions.middleware.SessionMiddleware")
    assert with_middleware(named) == ["a.CommonMiddleware", "ours"]


class TestRunning:
    @pytest.fixture
    def source(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """With this project beside it, which elsewhere is installed."""
        (tmp_path / "suite").mkdir()
        (tmp_path / "suite" / "__init__.py").touch()
        (tmp_path / "suite" / "test_engine.py").write_text(SUITE)
        (tmp_path / "their_settings.py").write_text(SETTINGS)
        (tmp_path / "cookieproj").symlink_to(figures.ROOT / "cookieproj")
        monkeypatch.delenv("PYTHONPATH", raising=False)
        return tmp_path

    @pytest.mark.parametrize("runner", COMMANDS)
    def test_each_engine_is_the_one_that_is_tested(self, source: Path, runner: str) -> None:
        neighbour = Neighbour("suite", "1.0", "their_settings", COMMANDS[runner])
        djangos, ours = (
            run(neighbour, source, package, "db") for package in (DJANGO_ENGINES, OUR_ENGINES)
        )
        assert len(djangos) == len(ours) == 4
        assert {name.rpartition("test_")[2]: outcome for name, outcome in djangos.items()} == {
            "a_store_of_ours": "failed",
            "a_middleware_of_ours": "failed",
            "neither": "skipped",
            "both": "passed",
        }
        assert sorted(ours.values()) == ["passed", "passed", "passed", "skipped"]

    @pytest.mark.parametrize("package", [DJANGO_ENGINES, OUR_ENGINES])
    def test_a_session_is_kept_where_their_cache_keeps_nothing(
        self, source: Path, package: str
    ) -> None:
        (source / "suite" / "test_engine.py").write_text(KEEPING)
        (source / "their_settings.py").write_text(SETTINGS + DUMMY)
        neighbour = Neighbour("suite", "1.0", "their_settings", COMMANDS["django"])
        assert set(run(neighbour, source, package, "cache").values()) == {"passed"}

    def test_what_a_fixture_raises_is_a_failure(self, source: Path) -> None:
        (source / "suite" / "test_engine.py").write_text(FIXTURE)
        neighbour = Neighbour("suite", "1.0", "their_settings", COMMANDS["pytest"])
        assert run(neighbour, source, OUR_ENGINES, "db") == {
            "suite/test_engine.py::test_it": "failed"
        }

    @pytest.mark.parametrize(
        ("code", "why"),
        [
            ("raise SystemExit('no such module')", "no such module"),
            ("import time; time.sleep(60)", "not done after 2 seconds"),
            ("import recorder; recorder.write()", "no test was found"),
        ],
    )
    def test_what_came_to_no_end_is_no_result(
        self, source: Path, monkeypatch: pytest.MonkeyPatch, code: str, why: str
    ) -> None:
        monkeypatch.setattr(running, "LIMIT", 2)
        neighbour = Neighbour("suite", "1.0", "their_settings", ("-c", code))
        with pytest.raises(DidNotRunError, match=why):
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

    def command(self, monkeypatch: pytest.MonkeyPatch, ours: str, *arguments: str) -> int:
        def outcome(neighbour: Neighbour, engine: str) -> Comparison:
            if ours == "none":
                raise DidNotRunError
            return compare(neighbour.name, "1.0", {engine: "passed"}, {engine: ours})

        monkeypatch.setattr(__main__, "compared", outcome)
        monkeypatch.setattr(sys, "argv", ["neighbours", *arguments])
        return __main__.main()

    @pytest.mark.parametrize(("ours", "code"), [("passed", 0), ("failed", 1)])
    def test_it_writes_the_page(
        self, document: Path, monkeypatch: pytest.MonkeyPatch, ours: str, code: int
    ) -> None:
        assert self.command(monkeypatch, ours) == code
        text = document.read_text()
        assert "old" not in text
        assert all(neighbour.name in text for neighbour in NEIGHBOURS)
        assert ("Failed on ours alone:" in text) == (ours == "failed")

    def test_an_engine_that_the_page_has_not_gets_a_section(
        self, document: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.command(monkeypatch, "passed", "--engine", "file")
        self.command(monkeypatch, "passed", "--engine", "file")
        text = document.read_text()
        assert text.count("## `file`\n\n<!-- neighbours file -->\n| project |") == 1
        assert "<!-- neighbours db -->\nold\n" in text

    def test_one_project_alone_is_only_printed(
        self, document: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = document.read_text()
        assert self.command(monkeypatch, "passed", "django-otp") == 0
        assert document.read_text() == before
        printed = capsys.readouterr().out
        assert "| django-otp 1.0 |" in printed
        assert "allauth" not in printed

    def test_what_did_not_run_fails_it_and_leaves_the_page(
        self, document: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = document.read_text()
        assert self.command(monkeypatch, "none") == 1
        assert document.read_text() == before
