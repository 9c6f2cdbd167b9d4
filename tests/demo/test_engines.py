"""The engines side by side: what the page says is what they do, and what was measured."""

import html
import json
import re
from itertools import product
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import caches as cache_connections
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from cookieproj.engines.cache import SessionStore as CacheStore
from cookieproj.engines.caches.redis import Redis
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.table import Table
from cookieproj.profiles import PROFILES
from cookieproj.settings.caches import caches
from demo import measuring
from demo.choosing import QuestionsForm
from demo.comparing import columns
from demo.models import User

# What tests/engines/test_round_trips.py counts at the servers; of files see test_wire.py.
TRIPS = {
    "db": [0, 1, 2, 3, 2],
    "cache": [0, 1, 2, 3, 2],
    "file": [0, 1, 5, 10, 4],
    "cached_db": [0, 1, 4, 5, 3],
    "signed_cookies": [0, 0, 0, 0, 0],
}


@pytest.fixture(autouse=True)
def site(empty_stores: None, settings: Settings, tmp_path: Path, db: None) -> None:
    """Of its own: a benchmark is kept beside manage.py."""
    settings.DEMO_BENCHMARK = tmp_path / "benchmark.json"
    settings.DEBUG = True
    measuring.counted.cache_clear()
    columns.cache_clear()


def shown(client: Client, query: str = "") -> str:
    response = client.get(f"/engines/{query}")
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def table(page: str) -> dict[str, dict[str, str]]:
    """The answers by question and engine."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", page, re.DOTALL)[1:]
    found = {}
    for row in rows:
        [question] = re.findall(r'<th scope="row">(.*?)</th>', row)
        answers = re.findall(r"<td>(.*?)</td>", row, re.DOTALL)
        found[question] = dict(zip(PROFILES, answers, strict=True))
    return found


def test_facts_are_told_of_all_five(client: Client) -> None:
    facts = table(shown(client))
    assert "table django_session" in facts["Sessions live in"]["db"]
    assert "Redis" in facts["Sessions live in"]["cache"]
    assert facts["Sessions live in"]["file"].startswith("folder ")
    reads = facts["The client can read"]
    assert [name for name in PROFILES if reads[name].startswith("all of it")] == ["signed_cookies"]
    ends = facts["One can be ended from elsewhere"]
    assert [name for name in PROFILES if ends[name] != "yes"] == ["signed_cookies"]
    assert set(facts["All of a user can be ended"].values()) == {"yes, for no query more"}
    assert "cannot be listed" in facts["They can be listed"]["signed_cookies"]
    assert "4096" in facts["The largest session"]["signed_cookies"]
    cleared = facts["Expired ones are cleared by"]
    assert cleared["db"] == cleared["file"] == cleared["cached_db"] == "manage.py clearsessions"


def test_trips_are_those_that_servers_count(client: Client) -> None:
    facts = table(shown(client))
    kinds = ("session left alone", "read", "write", "sign-in", "sign-out")
    for name in PROFILES:
        assert [int(facts[f"Trips: {kind}"][name]) for kind in kinds] == TRIPS[name]


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ({"save": "", "appendonly": "no"}, "of the site, not of Redis: it keeps no file"),
        ({"save": "60 1", "appendonly": "no"}, "of the site; of Redis as far as its last snapshot"),
        ({"save": "", "appendonly": "yes"}, "yes: Redis keeps an append-only file"),
    ],
)
def test_whether_redis_forgets_is_asked_of_redis(
    kept: dict[str, str], words: str, client: Client
) -> None:
    redis: Any = cache_connections["sessions"].client.get_client()  # type: ignore[attr-defined]
    before = {name: redis.config_get(name)[name] for name in kept}
    try:
        for name, value in kept.items():
            redis.config_set(name, value)
        assert table(shown(client))["They survive a restart"]["cache"] == words
    finally:
        for name, value in before.items():
            redis.config_set(name, value)


def test_memory_and_memcached_forget(
    client: Client, settings: Settings, memcached_url: str
) -> None:
    settings.CACHES = caches("locmem://")
    question = "They survive a restart"
    assert table(shown(client))[question]["cache"] == "no: they go with this process"
    settings.CACHES = caches(memcached_url)
    columns.cache_clear()
    facts = table(shown(client))
    assert facts[question]["cache"] == "of the site, not of the cache"
    assert facts["The largest session"]["cache"].startswith("1 MB")
    assert facts["The largest session"]["db"] == "none that a session comes near"


def test_nothing_is_left_in_the_stores(client: Client, settings: Settings, tmp_path: Path) -> None:
    shown(client)
    client.post("/engines/measure/")
    assert Session.objects.count() == 0
    assert User.objects.count() == 0
    names = list(cache_connections["sessions"].iter_keys("*"))  # type: ignore[attr-defined]
    # Of copies of rows that are gone a mark stays for five minutes, so that none comes back.
    assert all("cached_db" in name for name in names)
    assert [path.name for path in tmp_path.iterdir()] == ["benchmark.json"]


def test_a_store_that_is_away_leaves_the_others(client: Client) -> None:
    away = StoreUnavailableError("Redis at example", "It is away.")
    with mock.patch.object(Redis, "add", side_effect=away):
        facts = table(shown(client))
    assert "It is away." in facts["Sessions live in"]["cache"]
    trips = [facts["Trips: write"][name] for name in PROFILES]
    assert trips == ["2", "\N{EN DASH}", "5", "4", "0"]
    # It is back.
    facts = table(shown(client))
    assert "Redis" in facts["Sessions live in"]["cache"]
    assert facts["Trips: write"]["cache"] == "2"


def test_a_public_page_does_not_tell_which_store_is_away(
    client: Client, settings: Settings
) -> None:
    settings.DEBUG = False
    away = StoreUnavailableError("table django_session, PostgreSQL shop at 192.0.2.1", "No.")
    with mock.patch.object(Table, "insert", side_effect=away):
        page = shown(client)
    assert table(page)["Sessions live in"]["db"] == "Its store does not answer."
    assert "192.0.2.1" not in page


def test_the_page_is_no_load_for_anybody_to_make(client: Client) -> None:
    shown(client)
    with CaptureQueriesContext(connection) as captured:
        shown(client)
    assert not captured


def test_a_folder_that_cannot_be_written_is_no_hindrance(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    settings.SESSION_FILE_PATH = tmp_path / "none"
    assert table(shown(client))["Trips: read"]["file"] == "1"


def test_an_engine_of_djangos_own_is_none_of_ours(client: Client, settings: Settings) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    page = shown(client, "?stores=database&holds=private&lasts=stay")
    assert "<code>django.contrib.sessions.backends.db</code>, which is none of these" in page
    assert '<span class="badge">' not in page
    assert "This site runs on it." not in page


def test_outside_of_development_no_place_is_told_and_nothing_measured(
    client: Client, settings: Settings
) -> None:
    settings.DEBUG = False
    page = shown(client)
    assert set(table(page)["Sessions live in"].values()) == {
        "the server",
        "cookie sessionid of the browser",
    }
    assert "/engines/measure/" not in page
    assert client.post("/engines/measure/").status_code == 404


class TestMeasuring:
    def test_the_button_measures_and_the_page_shows_it(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("demo.comparing.REQUESTS", 3)
        assert "Not measured yet." in shown(client)
        response = client.post("/engines/measure/")
        assert response.headers["Location"] == "/engines/#costs"
        page = shown(client)
        assert "Median of 3 requests of each kind" in page
        assert page.count("<figure>") == 5
        assert page.count(" µs</dd>") == 25
        widths = [float(width) for width in re.findall(r'<rect width="([\d.]+)%"', page)]
        assert max(widths) == 100

    def test_bars_are_to_one_scale(self, client: Client) -> None:
        costs = dict.fromkeys(measuring.KINDS, measuring.Cost(50, 1))
        costs["write"] = measuring.Cost(200, 2)
        engines = {name: measuring.Measured(requests=costs) for name in PROFILES}
        measuring.keep(measuring.Benchmark("2026-11-21", "a machine", 7, engines, 2))
        page = shown(client)
        assert re.findall(r'<rect width="([\d.]+)%"', page) == (
            ["25.0"] * 10 + ["100.0"] * 5 + ["25.0"] * 10
        )
        assert table(page)["Trips: write"]["db"] == "2"

    def test_the_command_keeps_what_it_has_measured(
        self, client: Client, capsys: pytest.CaptureFixture[str]
    ) -> None:
        call_command("benchsessions", "--requests", "2")
        said = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in said[2:]] == list(PROFILES)
        trips = [int(trip) for trip in re.findall(r"\((\d+)\)", said[5])]
        assert trips == TRIPS["cached_db"]
        made = measuring.last()
        assert made is not None
        assert made.requests == 2
        assert "Median of 2 requests" in shown(client)

    @pytest.mark.parametrize("requests", ["0", "-1", "many"])
    def test_a_wrong_number_is_told(self, requests: str) -> None:
        with pytest.raises(CommandError, match="is no number of requests"):
            call_command("benchsessions", f"--requests={requests}")

    def test_an_interruption_leaves_nothing(self) -> None:
        with (
            mock.patch.object(measuring.Subject, "measured", side_effect=KeyboardInterrupt),
            pytest.raises(CommandError, match="Nothing is kept") as error,
        ):
            call_command("benchsessions", "--requests", "1")
        assert error.value.returncode == 130
        assert Session.objects.count() == 0
        assert measuring.last() is None

    def test_a_file_that_cannot_be_written_is_told(self, settings: Settings) -> None:
        settings.DEMO_BENCHMARK = settings.DEMO_BENCHMARK / "below a file that is none"
        with pytest.raises(CommandError, match="Could not measure the engines"):
            call_command("benchsessions", "--requests", "1")

    def test_the_button_says_what_went_wrong(self, client: Client, settings: Settings) -> None:
        settings.DEMO_BENCHMARK = settings.DEMO_BENCHMARK / "below a file that is none"
        page = client.post("/engines/measure/", follow=True).content.decode()
        assert "No such file or directory" in html.unescape(page)

    def test_one_store_that_is_away_hinders_no_other_from_being_cleared(self) -> None:
        away = StoreUnavailableError("Redis at example", "It is away.")
        with (
            mock.patch.object(CacheStore, "delete", side_effect=away),
            pytest.raises(StoreUnavailableError),
        ):
            measuring.benchmark(1)
        assert Session.objects.count() == 0

    def test_a_store_that_goes_away_is_told(self) -> None:
        away = StoreUnavailableError("table django_session", "It is away.")
        with (
            mock.patch.object(Table, "swap", side_effect=away),
            pytest.raises(CommandError, match=r"Could not measure the engines: .*It is away"),
        ):
            call_command("benchsessions", "--requests", "1")
        assert Session.objects.count() == 0

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{}",
            "[]",
            "no JSON",
            '{"engines": []}',
            '{"engines": {"db": {"a": 1}}}',
            '{"engines": {}, "made": "", "machine": "", "requests": 0, "cores": 1}',
        ],
    )
    def test_a_file_that_is_no_benchmark_is_none(
        self, text: str, client: Client, settings: Settings
    ) -> None:
        settings.DEMO_BENCHMARK.write_text(text)
        assert measuring.last() is None
        assert "Not measured yet." in shown(client)

    def test_the_median_is_what_counts(self) -> None:
        assert measuring.microseconds([9e-6, 1e-6, 2e-6]) == 2.0

    def test_what_is_kept_is_read_again(self, settings: Settings) -> None:
        made = measuring.benchmark(1)
        measuring.keep(made)
        assert measuring.last() == made
        assert json.loads(settings.DEMO_BENCHMARK.read_text())["requests"] == 1


class TestChoosing:
    @pytest.mark.parametrize(
        ("stores", "holds", "lasts", "engine"),
        [
            ("redis", "private", "again", "cache"),
            ("redis", "little", "stay", "cached_db"),
            ("database", "little", "again", "db"),
            ("disk", "little", "stay", "signed_cookies"),
            ("disk", "private", "again", "file"),
            ("none", "little", "stay", "signed_cookies"),
            ("none", "private", "stay", "db"),
        ],
    )
    def test_three_answers_lead_to_one(
        self, stores: str, holds: str, lasts: str, engine: str, client: Client
    ) -> None:
        page = shown(client, f"?stores={stores}&holds={holds}&lasts={lasts}")
        assert f"<b><code>{engine}</code>.</b>" in page
        read, write = TRIPS[engine][1:3]
        assert f"{read} to read, {write} to write." in page
        link = f'href="/switch/?old=db&new={engine}"'
        assert (link in page) == (engine != "db")
        assert ("This site runs on it." in page) == (engine == "db")

    def test_every_combination_has_one(self, client: Client) -> None:
        fields = QuestionsForm().fields
        choices = [[value for value, _label in field.choices] for field in fields.values()]  # type: ignore[attr-defined]
        for answers in product(*choices):
            query = "&".join(f"{name}={value}" for name, value in zip(fields, answers, strict=True))
            assert 'class="card advice"' in shown(client, f"?{query}")

    def test_an_answer_that_is_missing_is_asked_for(self, client: Client) -> None:
        page = shown(client, "?stores=redis&holds=nonsense")
        assert page.count('class="errorlist"') == 2
        assert 'class="card advice"' not in page
