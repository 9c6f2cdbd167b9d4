"""``manage.py benchsessions``: its figures, and that it leaves no session behind."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import caches as cache_connections
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from pytest_django import Settings

from cookieproj.engines.benchmark import results
from cookieproj.engines.benchmark.contestant import Contestant, ratio, rounds
from cookieproj.engines.benchmark.run import benchmark, cost_of, installed_engines, payload_of
from cookieproj.engines.benchmark.views import KINDS
from cookieproj.engines.cache import SessionStore as CacheStore
from cookieproj.engines.caches.redis import RedisStore
from cookieproj.engines.constants import (
    DJANGO_ENGINE_NAMES,
    DJANGO_ENGINES,
    ENGINE_NAMES,
    OUR_ENGINES,
)
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.sql_statements import Table
from tests.conftest import copied
from tests.sites import ROOT
from tests.stores import instead, steps_of

from .test_engines_page import ROUND_TRIPS, table_disappears

# The round trips that tests/engines/test_round_trips.py counts for Django 5.2 and 6.1.
DJANGO_ROUND_TRIPS = {
    "db": [0, 1, 4, 12, 5],
    "cache": [0, 1, 3, 6, 2],
    "cached_db": [0, 1, 5, 16, 6],
    "signed_cookies": [0, 0, 0, 0, 0],
    "encrypted_cookies": [0, 0, 0, 0, 0],
}


@pytest.fixture(autouse=True)
def site(empty_stores: None, settings: Settings, tmp_path: Path, db: None) -> None:
    settings.SESSION_BENCHMARK_FILE = tmp_path / "benchmark.json"


@pytest.fixture
def leaves_no_session(tmp_path: Path) -> Iterator[None]:
    yield
    assert Session.objects.count() == 0
    assert not list(cache_connections["sessions"].iter_keys("*"))  # type: ignore[attr-defined]
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def bench(*arguments: str) -> results.Benchmark:
    call_command("benchsessions", *arguments)
    measured = results.last()
    assert measured is not None
    return measured


@pytest.mark.usefixtures("leaves_no_session")
class TestCommand:
    def test_measures_every_engine_and_its_counterpart_of_django(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        measured = bench("--requests", "3")
        assert [result.engine for result in measured.engines] == installed_engines()
        assert measured.requests == 3
        assert not measured.debug
        for result in measured.engines:
            assert list(result.requests) == list(KINDS)
            for cost in result.requests.values():
                assert cost.median is not None
                assert cost.p95 is not None
                assert 0 < cost.median <= cost.p95
                name = result.engine.removeprefix(OUR_ENGINES)
                has_counterpart = f"{DJANGO_ENGINES}{name}" in installed_engines()
                assert (cost.ratio is not None) == has_counterpart
        output = capsys.readouterr().out
        assert "3 requests of each kind, sessions of 212 bytes, 1 visitor at a time." in output
        shown = re.findall(r"^(\S+) .*\d+ \d+ \(\d+\)", output, re.MULTILINE)
        assert shown == list(ENGINE_NAMES)
        assert output.count("ours/Django's") == 5
        [line] = re.findall(r"^cache +.*", output, re.MULTILINE)
        assert re.findall(r"\((\d+)\)", line) == [str(trips) for trips in ROUND_TRIPS["cache"]]

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("name", ENGINE_NAMES)
    def test_round_trips_equal_those_counted_by_servers(self, name: str) -> None:
        measured = bench("--requests", "1", "--engine", name)
        ours, *djangos = measured.engines
        assert [cost.trips for cost in ours.requests.values()] == ROUND_TRIPS[name]
        counted = [[cost.trips for cost in result.requests.values()] for result in djangos]
        assert counted == [DJANGO_ROUND_TRIPS.get(name, [None] * 5)] * (name in DJANGO_ENGINE_NAMES)

    def test_engines_are_chosen_by_name_or_path(self) -> None:
        measured = bench("--requests", "1", "--engine", "file", "--engine", f"{DJANGO_ENGINES}db")
        assert [result.engine for result in measured.engines] == [
            f"{OUR_ENGINES}file",
            f"{DJANGO_ENGINES}file",
            f"{DJANGO_ENGINES}db",
        ]

    def test_stored_bytes_depend_on_payload(self, tmp_path: Path) -> None:
        payload = tmp_path / "cart.json"
        payload.write_text(json.dumps({"cart": list(range(500))}))
        measured = bench("--requests", "1", "--engine", "cache", "--payload", str(payload))
        stored = json.dumps({"cart": list(range(500)), "visits": 0})
        ours, djangos = measured.engines
        assert ours.stored_bytes == djangos.stored_bytes == len(stored)
        # A key has 32 characters.
        assert ours.cookie_bytes == len("sessionid") + 32
        measured = bench("--requests", "1", "--engine", "cache", "--size", "3000")
        assert measured.engines[0].stored_bytes == len(json.dumps(payload_of(3000) | {"visits": 0}))

    def test_session_too_large_for_cookie_is_reported(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        measured = bench("--requests", "1", "--engine", "signed_cookies", "--size", "9000")
        assert all(
            "beyond 4096 a browser may drop it" in result.problem for result in measured.engines
        )
        assert "beyond 4096 a browser may drop it" in capsys.readouterr().out

    def test_json_option_writes_figures(self, tmp_path: Path) -> None:
        figures = tmp_path / "figures.json"
        measured = bench("--requests", "2", f"--json={figures}", "--engine=cache")
        assert figures.read_text() == results.as_json(measured)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--requests=0"], "is not a positive whole number"),
            (["--requests=many"], "is not a positive whole number"),
            (["--concurrency=-1"], "is not a positive whole number"),
            (["--engine=memory"], "is no engine: db, cache"),
            (["--engine=json.decoder"], "is no engine"),
            (["--payload=/nowhere.json"], "cannot read /nowhere.json"),
            (["--payload=pyproject.toml"], "cannot read pyproject.toml"),
            (
                ["--requests=1", "--json=/nowhere/figures.json"],
                "cannot write /nowhere/figures.json",
            ),
            (["--requests=1", "--json=/"], "cannot write /: name a file"),
            (["--size=10", "--payload=package.json"], "cannot read|not allowed with"),
        ],
    )
    def test_wrong_argument_is_refused(self, arguments: list[str], words: str) -> None:
        with pytest.raises(CommandError, match=words):
            call_command("benchsessions", *arguments)

    def test_payload_that_is_not_an_object_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "list.json").write_text("[1]")
        with pytest.raises(CommandError, match="does not contain a JSON object"):
            call_command("benchsessions", f"--payload={tmp_path / 'list.json'}")

    def test_signal_handler_is_restored(self) -> None:
        before = signal.getsignal(signal.SIGTERM)
        bench("--requests", "1", "--engine", "signed_cookies")
        assert signal.getsignal(signal.SIGTERM) is before

    def test_unwritable_results_file_is_reported(self, settings: Settings) -> None:
        settings.SESSION_BENCHMARK_FILE = (
            settings.SESSION_BENCHMARK_FILE / "below a file that is none"
        )
        with pytest.raises(CommandError, match="Could not measure the engines"):
            call_command("benchsessions", "--requests", "1", "--engine", "signed_cookies")

    def test_interruption_keeps_no_result(self, settings: Settings) -> None:
        settings.DEBUG = True
        with (
            mock.patch.object(Table, "compare_and_delete", side_effect=KeyboardInterrupt),
            pytest.raises(CommandError, match="No result is kept") as error,
        ):
            call_command("benchsessions", "--requests", "1")
        assert error.value.returncode == 130
        assert results.last() is None
        assert settings.DEBUG

    def test_store_that_becomes_unreachable_is_reported(self) -> None:
        with (
            table_disappears(),
            pytest.raises(CommandError, match=r"of the kind \w+ was answered with 503"),
        ):
            call_command("benchsessions", "--requests", "50", "--engine", "db")

    def test_sessions_are_deleted_from_other_stores_when_one_fails(self) -> None:
        unavailable = StoreUnavailableError("Redis at example", "No answer.")
        failing_delete = mock.patch.object(RedisStore, "delete", side_effect=unavailable)
        with (
            mock.patch(
                "cookieproj.engines.benchmark.run.rounds",
                side_effect=lambda *_, **__: failing_delete.start(),
            ),
            pytest.raises(CommandError, match="The session store is unavailable: Redis"),
        ):
            call_command("benchsessions", "--requests", "1")
        failing_delete.stop()
        assert Session.objects.count() == 0
        cache_connections["sessions"].clear()

    def test_engines_with_reachable_stores_are_still_measured(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        unavailable = StoreUnavailableError("Redis at example", "No answer.")
        with steps_of(CacheStore, insert=instead(mock.Mock(side_effect=unavailable))):
            measured = bench("--requests", "1")
        problems = {result.engine for result in measured.engines if result.problem}
        # cached_db would work without its cache, but measure another engine.
        names = ("cache", "cached_db")
        assert problems == {
            family + name for family in (OUR_ENGINES, DJANGO_ENGINES) for name in names
        }
        output = capsys.readouterr().out
        assert re.search(r"^cache +The session store is unavailable", output, re.MULTILINE)

    def test_page_shows_results_of_command(self, client: Client) -> None:
        bench("--requests", "2", "--engine", "cache")
        page = client.get("/engines/").content.decode()
        assert "Median of 2 requests" in page
        assert page.count(" µs</dd>") == 10


@pytest.mark.usefixtures("leaves_no_session")
def test_concurrent_visitors_have_separate_sessions() -> None:
    with mock.patch.object(
        Contestant, "__init__", autospec=True, side_effect=Contestant.__init__
    ) as init:
        measured = benchmark([f"{OUR_ENGINES}cache"], requests=5, visitors=3)
        contestants = [call.args[0] for call in init.call_args_list]
    ours = next(
        contestant for contestant in contestants if contestant.name == f"{OUR_ENGINES}cache"
    )
    sessions = {visitor.session for visitor in ours.visitors}
    assert len(sessions) == 3
    assert len(ours.times("write")) == 15
    assert measured.visitors == 3


@pytest.mark.usefixtures("leaves_no_session")
@pytest.mark.parametrize("running", ENGINE_NAMES)
def test_running_engine_keeps_no_tombstones(settings: Settings, running: str) -> None:
    """cached_db writes tombstones when Django's db deletes rows."""
    settings.SESSION_ENGINE = f"{OUR_ENGINES}{running}"
    bench("--requests", "1", "--engine", "db", "--engine", "cached_db")


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_process_ended_by_signal_leaves_nothing(
    demo_database: Path, tmp_path: Path, signal_number: signal.Signals
) -> None:
    """The signal arrives at any moment of the run."""
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": copied(demo_database, tmp_path),
        "SESSION_FILE_PATH": str(tmp_path),
        "SESSION_BENCHMARK_FILE": str(tmp_path / "kept.json"),
        "PYTHONUNBUFFERED": "1",
    }
    database = tmp_path / demo_database.name
    command = [sys.executable, "manage.py", "benchsessions", "--requests", "100000", "--engine=db"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    with process, sqlite3.connect(database) as rows:
        count = "SELECT count(*) FROM django_session WHERE session_key LIKE 'benchsessions%'"
        while rows.execute(count).fetchone()[0] < 3:
            assert process.poll() is None
        process.send_signal(signal_number)
        _out, error = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "no session is left in the stores" in error
        assert rows.execute(count).fetchone()[0] == 0
    rows.close()
    assert not (tmp_path / "kept.json").exists()


class TestFigures:
    def contestant(self, *turns: list[float]) -> Any:
        contestant = mock.Mock(spec=Contestant, turns={"read": list(turns)}, trips={"read": 1})
        contestant.times = lambda kind: Contestant.times(contestant, kind)
        return contestant

    def test_cost_is_median_and_percentile_of_all_turns(self) -> None:
        times = [number / 1e6 for number in range(1, 102)]
        cost = cost_of(self.contestant(times[:50], times[50:]), "read")
        assert (cost.median, cost.p95) == (51.0, 96.0)
        assert cost_of(self.contestant([7e-6]), "read").p95 == 7.0

    def test_ratio_of_pairs_ignores_noise_that_both_share(self) -> None:
        quiet, noisy = [1.0, 1.0, 9.0], [100.0, 100.0, 900.0]
        ours = self.contestant(quiet, noisy, quiet)
        djangos = self.contestant([2.0], [200.0], [2.0])
        assert ratio(ours, djangos, "read") == 0.5

    def test_turns_alternate(self) -> None:
        order: list[str] = []

        def contestant(name: str, kinds: list[str]) -> Any:
            mocked = mock.Mock(kinds=kinds)
            mocked.turn.side_effect = lambda kind, size, _threads: order.append(
                f"{name}{kind}{size}"
            )
            return mocked

        first, second = contestant("A", ["r", "w"]), contestant("B", ["r"])
        rounds([first, second], 25)
        assert order == ["Ar10", "Br10", "Aw10", "Br10", "Ar10", "Aw10", "Ar5", "Br5", "Aw5"]


def test_unreachable_database_is_reported(settings: Settings) -> None:
    with (
        mock.patch.object(connection, "cursor", side_effect=OSError("no route")),
        pytest.raises(CommandError, match="Could not measure the engines: no route"),
    ):
        call_command("benchsessions", "--requests", "1", "--engine", "db")
