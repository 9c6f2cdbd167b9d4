"""The engines side by side: what the page says is what they do, and what was measured."""

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.core.cache import caches as cache_connections
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from cookieproj.engines.benchmark import results
from cookieproj.engines.benchmark.result_cache import RETRY_SECONDS, memory
from cookieproj.engines.benchmark.results import Benchmark, Cost, EngineResult
from cookieproj.engines.benchmark.run import untimed_benchmark
from cookieproj.engines.benchmark.views import KINDS
from cookieproj.engines.caches.redis import RedisStore
from cookieproj.engines.constants import OUR_ENGINES
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.round_trips import count_round_trips
from cookieproj.engines.sql_statements import Table
from cookieproj.profiles import PROFILES
from cookieproj.settings.caches import caches
from demo.engine_advice import QuestionsForm
from demo.models import User
from tests.conftest import connected
from tests.families import COOKIE_ENGINES
from tests.servers import StoppableRedis

# What tests/engines/test_round_trips.py counts at the servers; of files see test_wire.py.
TRIPS = {
    "db": [0, 1, 2, 4, 2],
    "cache": [0, 1, 2, 4, 2],
    "file": [0, 1, 5, 13, 4],
    "cached_db": [0, 1, 4, 7, 3],
    "signed_cookies": [0, 0, 0, 0, 0],
    "encrypted_cookies": [0, 0, 0, 0, 0],
}


@pytest.fixture(autouse=True)
def site(
    empty_stores: None,
    settings: Settings,
    tmp_path: Path,
    db: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of its own: a benchmark is kept beside manage.py. What it measures, nobody reads."""
    monkeypatch.setattr("demo.engines_page.BENCHMARK_REQUESTS", 3)
    settings.SESSION_BENCHMARK_FILE = tmp_path / "benchmark.json"
    settings.DEBUG = True
    memory.clear()


untimed_once = cache(untimed_benchmark)


@pytest.fixture
def trips_are_known(site: None) -> None:
    """For tests of something else: to count them is most of what a look at the page takes."""
    memory.set("trips", untimed_once(), None)


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


def test_facts_are_told_of_all(client: Client) -> None:
    facts = table(shown(client))
    assert "table django_session" in facts["Sessions are stored in"]["db"]
    assert "Redis" in facts["Sessions are stored in"]["cache"]
    assert facts["Sessions are stored in"]["file"].startswith("folder ")
    reads = facts["The browser can read"]
    assert [name for name in PROFILES if reads[name].startswith("the whole session")] == [
        "signed_cookies"
    ]
    assert reads["encrypted_cookies"] == "nothing but its length: encrypted"
    ends = facts["One session can be ended remotely"]
    assert [name for name in PROFILES if ends[name] != "yes"] == list(COOKIE_ENGINES)
    assert set(facts["All sessions of a user can be ended"].values()) == {
        "yes, without another query"
    }
    for name in COOKIE_ENGINES:
        assert "cannot be listed" in facts["Sessions can be listed"][name]
        assert "4096" in facts["Largest session"][name]
    cleared = facts["Expired sessions are cleared by"]
    assert cleared["db"] == cleared["file"] == cleared["cached_db"] == "manage.py clearsessions"


@pytest.mark.django_db(transaction=True)
def test_trips_are_those_that_servers_count(client: Client) -> None:
    facts = table(shown(client))
    kinds = ("session left alone", "read", "write", "sign-in", "sign-out")
    for name in PROFILES:
        assert [int(facts[f"Round trips: {kind}"][name]) for kind in kinds] == TRIPS[name]


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (
            {"save": "", "appendonly": "no"},
            "of the site: yes; of Redis: no, as its persistence is off",
        ),
        (
            {"save": "60 1", "appendonly": "no"},
            "of the site: yes; of Redis: up to its last snapshot",
        ),
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
        assert table(shown(client))["Sessions survive a restart"]["cache"] == words
    finally:
        for name, value in before.items():
            redis.config_set(name, value)


def test_a_cluster_is_asked_as_one_redis_is(
    client: Client, settings: Settings, cluster_url: str
) -> None:
    settings.CACHES = caches(cluster_url)
    facts = table(shown(client))
    assert facts["Sessions are stored in"]["cache"].startswith("Redis Cluster 127.0.0.1:")
    assert facts["Sessions survive a restart"]["cache"].endswith("up to its last snapshot")
    assert facts["Sessions can be listed"]["cache"] == "yes"
    assert facts["Round trips: sign-in"]["cache"] == f"{TRIPS['cache'][3]}"
    settings.CACHES = caches("redis+cluster://127.0.0.1:1")
    memory.clear()
    facts = table(shown(client))
    assert "unavailable" in facts["Sessions are stored in"]["cache"]


def test_memory_and_memcached_forget(
    client: Client, settings: Settings, memcached_url: str
) -> None:
    settings.CACHES = caches("locmem://")
    question = "Sessions survive a restart"
    assert table(shown(client))[question]["cache"] == "no: they are in this process's memory"
    settings.CACHES = caches(memcached_url)
    memory.clear()
    facts = table(shown(client))
    assert facts[question]["cache"] == "of the site: yes; of the cache: no"
    assert facts["Largest session"]["cache"].startswith("1 MB")
    assert facts["Largest session"]["db"] == "no practical limit"


def test_nothing_is_left_in_the_stores(client: Client, settings: Settings, tmp_path: Path) -> None:
    shown(client)
    client.post("/engines/measure/")
    assert Session.objects.count() == 0
    assert User.objects.count() == 0
    assert not list(cache_connections["sessions"].iter_keys("*"))  # type: ignore[attr-defined]
    assert [path.name for path in tmp_path.iterdir()] == ["benchmark.json"]


def test_a_store_that_is_away_leaves_the_others(client: Client) -> None:
    away = StoreUnavailableError("Redis at example", "It is away.")
    with mock.patch.object(RedisStore, "insert", side_effect=away):
        facts = table(shown(client))
    assert "It is away." in facts["Sessions are stored in"]["cache"]
    trips = [facts["Round trips: write"][name] for name in PROFILES]
    assert trips == ["2", "\N{EN DASH}", "5", "\N{EN DASH}", "0", "0"]
    # It is back.
    memory.clear()
    facts = table(shown(client))
    assert "Redis" in facts["Sessions are stored in"]["cache"]
    assert facts["Round trips: write"]["cache"] == "2"


@pytest.fixture
def hanging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoppableRedis]:
    """It takes connections, and answers nothing."""
    redis = StoppableRedis(tmp_path_factory.mktemp("redis"))
    redis.start()
    redis.freeze()
    yield redis
    redis.thaw()
    redis.stop()


def test_a_store_that_hangs_is_not_waited_for_by_each_visitor(
    client: Client, settings: Settings, hanging: StoppableRedis
) -> None:
    settings.CACHES = caches(f"{hanging.url}?socket_timeout=0.2")
    with time_machine.travel(timezone.now(), tick=False) as clock:
        facts = table(shown(client))
        for name in ("cache", "cached_db"):
            assert str(hanging.port) in facts["Sessions are stored in"][name]
            assert facts["Round trips: write"][name] == "\N{EN DASH}"
        hanging.thaw()
        with count_round_trips() as trips:
            assert table(shown(client)) == facts
        assert trips.number == 0
        clock.shift(RETRY_SECONDS)
        facts = table(shown(client))
    assert [facts["Round trips: write"][name] for name in ("cache", "cached_db")] == ["2", "4"]


def test_the_cache_of_cached_db_may_be_away_too(client: Client, settings: Settings) -> None:
    """Its sessions go on without; what was tried cannot be removed from it."""
    settings.CACHES = caches("redis://127.0.0.1:1")
    facts = table(shown(client))
    assert "127.0.0.1:1" in facts["Sessions are stored in"]["cached_db"]
    assert facts["Round trips: write"]["db"] == "2"


def test_a_table_that_is_missing_leaves_the_others(client: Client, tmp_path: Path) -> None:
    with connected(f"sqlite:///{tmp_path}/empty.sqlite3"):
        facts = table(shown(client))
        connection.close()
    trips = [facts["Round trips: write"][name] for name in PROFILES]
    # Whether a session in a cookie is refused is asked there too.
    assert trips == ["\N{EN DASH}", "2", "5", *["\N{EN DASH}"] * 3]
    assert "no such table" in facts["Sessions are stored in"]["cached_db"]


def test_a_public_page_does_not_tell_which_store_is_away(
    client: Client, settings: Settings
) -> None:
    settings.DEBUG = False
    away = StoreUnavailableError("table django_session, PostgreSQL shop at 192.0.2.1", "No.")
    with mock.patch.object(Table, "insert", side_effect=away):
        page = shown(client)
    assert table(page)["Sessions are stored in"]["db"] == "The store does not answer."
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
    assert table(shown(client))["Round trips: read"]["file"] == "1"


def test_an_engine_of_djangos_own_is_none_of_ours(client: Client, settings: Settings) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    page = shown(client, "?stores=database&holds=private&lasts=stay")
    assert "<code>django.contrib.sessions.backends.db</code>, which is not one of these" in page
    assert '<span class="badge">' not in page
    assert "This site runs on it." not in page


def test_outside_of_development_no_place_is_told_and_nothing_measured(
    client: Client, settings: Settings
) -> None:
    settings.DEBUG = False
    page = shown(client)
    assert set(table(page)["Sessions are stored in"].values()) == {
        "the server",
        "cookie sessionid of the browser",
    }
    assert "/engines/measure/" not in page
    assert client.post("/engines/measure/").status_code == 404


@contextmanager
def table_goes_away() -> Iterator[None]:
    """After some writes, which it still takes."""
    swap, left = Table.compare_and_swap, iter(range(20))

    def swap_for_a_while(*arguments: Any) -> bool:
        if next(left, None) is None:
            raise StoreUnavailableError("table django_session", "It is away.")
        return swap(*arguments)

    with mock.patch.object(Table, "compare_and_swap", swap_for_a_while):
        yield


@pytest.mark.usefixtures("trips_are_known")
class TestMeasuring:
    def test_the_button_measures_and_the_page_shows_it(self, client: Client) -> None:
        assert "Not measured yet." in shown(client)
        response = client.post("/engines/measure/")
        assert response.headers["Location"] == "/engines/#costs"
        page = shown(client)
        assert "Median of 3 requests of each kind" in page
        assert "DEBUG on" in page
        assert page.count("<figure>") == 5
        assert page.count(" µs</dd>") == 55
        widths = [float(width) for width in re.findall(r'<rect width="([\d.]+)%"', page)]
        assert max(widths) == 100

    def test_bars_are_to_one_scale(self, client: Client) -> None:
        costs = dict.fromkeys(KINDS, Cost(50, 60, 1))
        costs["write"] = Cost(200, 300, 2)
        results.keep(made_of(EngineResult(OUR_ENGINES + "db", requests=costs)))
        page = shown(client)
        assert re.findall(r'<rect width="([\d.]+)%"', page) == (
            ["25.0", "25.0", "100.0", "25.0", "25.0"]
        )

    def test_the_facts_stay_whatever_was_measured(self, client: Client) -> None:
        results.keep(made_of(EngineResult("shop.sessions", problem="It is away.")))
        page = shown(client)
        assert table(page)["Round trips: write"]["db"] == "2"
        assert "<figure>" not in page
        assert "Not measured yet." in page

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{}",
            "[]",
            "no JSON",
            '{"engines": []}',
            '{"engines": [{"engine": "db", "requests": {"read": 1}}]}',
            '{"engines": [], "without": {}, "made": "", "machine": "", "requests": 0}',
        ],
    )
    def test_a_file_that_is_no_benchmark_is_none(
        self, text: str, client: Client, settings: Settings
    ) -> None:
        settings.SESSION_BENCHMARK_FILE.write_text(text)
        assert results.last() is None
        assert "Not measured yet." in shown(client)

    def test_the_button_says_what_went_wrong(self, client: Client, settings: Settings) -> None:
        settings.SESSION_BENCHMARK_FILE = (
            settings.SESSION_BENCHMARK_FILE / "below a file that is none"
        )
        page = client.post("/engines/measure/", follow=True).content.decode()
        assert "No such file or directory" in html.unescape(page)

    def test_the_button_says_which_request_failed(self, client: Client) -> None:
        shown(client)
        with table_goes_away():
            page = client.post("/engines/measure/", follow=True).content.decode()
        assert re.search(r"A request of the kind \w+ was answered with 503", html.unescape(page))


def made_of(*engines: EngineResult) -> Benchmark:
    return Benchmark(
        made="2026-11-21",
        machine="a machine",
        cores=2,
        debug=False,
        requests=7,
        visitors=1,
        payload=200,
        without=Cost(40, 50, None),
        engines=list(engines),
    )


@pytest.mark.usefixtures("trips_are_known")
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
