"""The page that compares the engines: its facts are true, and its figures were measured."""

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
from django.contrib.auth import SESSION_KEY
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
from cookieproj.engines.cache import SessionStore as CacheEngine
from cookieproj.engines.caches.redis import RedisStore
from cookieproj.engines.constants import OUR_ENGINES
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.round_trips import count_round_trips
from cookieproj.engines.signed_cookies import SessionStore as SignedCookies
from cookieproj.engines.sql_statements import Table
from cookieproj.profiles import PROFILES
from cookieproj.settings.caches import caches
from demo.engine_advice import QuestionsForm
from demo.models import User
from tests.conftest import connected
from tests.families import COOKIE_ENGINES
from tests.servers import StoppableRedis

# Counted at the servers by tests/engines/test_round_trips.py, and of files by test_wire.py.
ROUND_TRIPS = {
    "db": [0, 1, 2, 4, 2],
    "cache": [0, 1, 2, 4, 2],
    "file": [0, 1, 5, 13, 4],
    "cached_db": [0, 1, 4, 7, 3],
    "signed_cookies": [0, 0, 0, 0, 0],
    "encrypted_cookies": [0, 0, 0, 0, 0],
    "mongodb": [0, 1, 2, 4, 2],
}


@pytest.fixture(autouse=True)
def site(
    empty_stores: None,
    settings: Settings,
    tmp_path: Path,
    db: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Keep results in a temporary folder, and measure with as few requests as possible."""
    monkeypatch.setattr("demo.engines_page.BENCHMARK_REQUESTS", 3)
    settings.SESSION_BENCHMARK_FILE = tmp_path / "benchmark.json"
    settings.DEBUG = True
    memory.clear()


untimed_once = cache(untimed_benchmark)


@pytest.fixture
def round_trips_cached(site: None) -> None:
    """Spare tests of other things the counting, which takes most of the page's time."""
    memory.set("trips", untimed_once(), None)


def get_page(client: Client, query: str = "") -> str:
    response = client.get(f"/engines/{query}")
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def facts_of(page: str) -> dict[str, dict[str, str]]:
    """Return the answers by question and engine."""
    head, *rows = re.findall(r"<tr[^>]*>(.*?)</tr>", page, re.DOTALL)
    names = re.findall(r"<code>(.*?)</code>", head)
    facts = {}
    for row in rows:
        [question] = re.findall(r'<th scope="row">(.*?)</th>', row)
        answers = re.findall(r"<td>(.*?)</td>", row, re.DOTALL)
        facts[question] = dict(zip(names, answers, strict=True))
    return facts


FAILED = "It failed when it was tried."


def problems_of(page: str) -> dict[str, str]:
    """Return the whole error of each engine that failed."""
    return dict(re.findall(r'<p class="status wrong"><code>(.*?)</code>: (.*?)</p>', page))


def test_facts_of_every_engine(client: Client, settings: Settings) -> None:
    facts = facts_of(get_page(client))
    assert "table django_session" in facts["Sessions are stored in"]["db"]
    assert "Redis" in facts["Sessions are stored in"]["cache"]
    assert facts["Sessions are stored in"]["file"] == f"folder {settings.SESSION_FILE_PATH}"
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
        assert "4,096" in facts["Largest session"][name]
    cleared = facts["Expired sessions are cleared by"]
    assert cleared["db"] == cleared["file"] == cleared["cached_db"] == "manage.py clearsessions"


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (
            "cookieproj.devices.revocation.is_revoked",
            "not by the engine; this site refuses ended sessions, with 1 query in each request "
            "that reads a signed-in session",
        ),
        ("", "no"),
    ],
)
def test_cost_of_refusing_ended_sessions_is_counted(
    check: str, answer: str, client: Client, settings: Settings
) -> None:
    settings.SESSION_REVOCATION_CHECK = check
    facts = facts_of(get_page(client))
    assert {facts["One session can be ended remotely"][name] for name in COOKIE_ENGINES} == {answer}


def test_refusing_ended_sessions_costs_what_the_page_says(client: Client, ada: User) -> None:
    """In a session of nobody it costs nothing, and so the page's read of such a session is 0."""
    for is_signed_in, number in ((True, 1), (False, 0)):
        session = SignedCookies()
        session.update({SESSION_KEY: str(ada.pk)} if is_signed_in else {"color": "blue"})
        session.save()
        with CaptureQueriesContext(connection) as captured:
            assert SignedCookies(session.session_key).items()
        assert len(captured) == number


def test_running_engine_is_the_first_column(client: Client, settings: Settings) -> None:
    settings.SESSION_ENGINE = f"{OUR_ENGINES}file"
    facts = facts_of(get_page(client))
    places = facts["Sessions are stored in"]
    assert list(places) == ["file", *(name for name in PROFILES if name != "file")]
    assert places["file"].startswith("folder ")
    assert places["db"].startswith("table django_session")
    assert facts["Round trips: read"]["mongodb"] == "1"


def test_beginning_a_session_costs_other_round_trips_than_a_write(client: Client) -> None:
    page = get_page(client)
    assert "A write changes a session that exists: beginning one costs other numbers." in page
    session = CacheEngine()
    session["color"] = "blue"
    with count_round_trips() as round_trips:
        session.save()
    assert round_trips.number != int(facts_of(page)["Round trips: write"]["cache"])


@pytest.mark.django_db(transaction=True)
def test_round_trips_equal_those_counted_by_servers(client: Client) -> None:
    facts = facts_of(get_page(client))
    kinds = ("session left alone", "read", "write", "sign-in", "sign-out")
    for name in PROFILES:
        assert [int(facts[f"Round trips: {kind}"][name]) for kind in kinds] == ROUND_TRIPS[name]


@pytest.mark.parametrize(
    ("config", "answer"),
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
def test_persistence_of_redis_is_read_from_redis(
    config: dict[str, str], answer: str, client: Client
) -> None:
    redis: Any = cache_connections["sessions"].client.get_client()  # type: ignore[attr-defined]
    before = {name: redis.config_get(name)[name] for name in config}
    try:
        for name, value in config.items():
            redis.config_set(name, value)
        assert facts_of(get_page(client))["Sessions survive a restart"]["cache"] == answer
    finally:
        for name, value in before.items():
            redis.config_set(name, value)


def test_facts_of_redis_cluster(client: Client, settings: Settings, cluster_url: str) -> None:
    settings.CACHES = caches(cluster_url)
    facts = facts_of(get_page(client))
    assert facts["Sessions are stored in"]["cache"].startswith("Redis Cluster 127.0.0.1:")
    assert facts["Sessions survive a restart"]["cache"].endswith("up to its last snapshot")
    assert facts["Sessions can be listed"]["cache"] == "yes"
    assert facts["Round trips: sign-in"]["cache"] == f"{ROUND_TRIPS['cache'][3]}"
    settings.CACHES = caches("redis+cluster://127.0.0.1:1")
    memory.clear()
    page = get_page(client)
    assert facts_of(page)["Sessions are stored in"]["cache"] == FAILED
    assert "unavailable" in problems_of(page)["cache"]


def test_local_memory_and_memcached_do_not_persist(
    client: Client, settings: Settings, memcached_url: str
) -> None:
    settings.CACHES = caches("locmem://")
    question = "Sessions survive a restart"
    assert facts_of(get_page(client))[question]["cache"] == "no: they are in this process's memory"
    settings.CACHES = caches(memcached_url)
    memory.clear()
    facts = facts_of(get_page(client))
    assert facts[question]["cache"] == "of the site: yes; of the cache: no"
    assert facts["Largest session"]["cache"].startswith("1 MB")
    assert facts["Largest session"]["db"] == "no practical limit"


def test_page_and_benchmark_leave_nothing_in_stores(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    get_page(client)
    client.post("/engines/measure/")
    assert Session.objects.count() == 0
    assert User.objects.count() == 0
    assert not list(cache_connections["sessions"].iter_keys("*"))  # type: ignore[attr-defined]
    assert [path.name for path in tmp_path.iterdir()] == ["benchmark.json"]


def test_unreachable_store_does_not_affect_other_engines(client: Client) -> None:
    unavailable = StoreUnavailableError("Redis at example", "No answer.")
    with mock.patch.object(RedisStore, "insert", side_effect=unavailable):
        page = get_page(client)
    facts = facts_of(page)
    assert facts["Sessions are stored in"]["cache"] == FAILED
    assert list(problems_of(page)) == ["cache", "cached_db"]
    assert "No answer." in problems_of(page)["cache"]
    round_trips = [facts["Round trips: write"][name] for name in PROFILES]
    assert round_trips == ["2", "\N{EN DASH}", "5", "\N{EN DASH}", "0", "0", "2"]
    # Redis is reachable again.
    memory.clear()
    facts = facts_of(get_page(client))
    assert "Redis" in facts["Sessions are stored in"]["cache"]
    assert facts["Round trips: write"]["cache"] == "2"


@pytest.fixture
def hanging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoppableRedis]:
    """A Redis that accepts connections and never answers."""
    redis = StoppableRedis(tmp_path_factory.mktemp("redis"))
    redis.start()
    redis.freeze()
    yield redis
    redis.thaw()
    redis.stop()


def test_hanging_store_delays_only_first_visitor(
    client: Client, settings: Settings, hanging: StoppableRedis
) -> None:
    settings.CACHES = caches(f"{hanging.url}?socket_timeout=0.2")
    with time_machine.travel(timezone.now(), tick=False) as clock:
        page = get_page(client)
        facts = facts_of(page)
        for name in ("cache", "cached_db"):
            assert str(hanging.port) in problems_of(page)[name]
            assert facts["Round trips: write"][name] == "\N{EN DASH}"
        hanging.thaw()
        with count_round_trips() as round_trips:
            assert facts_of(get_page(client)) == facts
        assert round_trips.number == 0
        clock.shift(RETRY_SECONDS)
        facts = facts_of(get_page(client))
    assert [facts["Round trips: write"][name] for name in ("cache", "cached_db")] == ["2", "4"]


def test_unreachable_cache_of_cached_db_is_shown(client: Client, settings: Settings) -> None:
    """cached_db works without its cache; the trial session cannot be removed from it."""
    settings.CACHES = caches("redis://127.0.0.1:1")
    page = get_page(client)
    facts = facts_of(page)
    assert "127.0.0.1:1" in problems_of(page)["cached_db"]
    assert facts["Round trips: write"]["db"] == "2"


def test_unreachable_cache_of_the_running_cached_db_fails_no_other_engine(
    client: Client, settings: Settings
) -> None:
    settings.SESSION_ENGINE = f"{OUR_ENGINES}cached_db"
    settings.CACHES = caches("redis://127.0.0.1:1")
    page = get_page(client)
    facts = facts_of(page)
    problems = problems_of(page)
    assert sorted(problems) == ["cache", "cached_db"]
    assert all("127.0.0.1:1" in problem for problem in problems.values())
    assert facts["Round trips: write"]["db"] == "2"
    assert facts["Round trips: write"]["file"] == "5"


def test_missing_table_does_not_affect_other_engines(client: Client, tmp_path: Path) -> None:
    with connected(f"sqlite:///{tmp_path}/empty.sqlite3"):
        page = get_page(client)
        facts = facts_of(page)
        connection.close()
    round_trips = [facts["Round trips: write"][name] for name in PROFILES]
    # The cookie engines look up refused sessions in the database too.
    assert round_trips == ["\N{EN DASH}", "2", "5", *["\N{EN DASH}"] * 3, "2"]
    assert "no such table" in problems_of(page)["cached_db"]


def test_public_page_does_not_name_unreachable_store(client: Client, settings: Settings) -> None:
    settings.DEBUG = False
    unavailable = StoreUnavailableError("table django_session, PostgreSQL shop at 192.0.2.1", "No.")
    with mock.patch.object(Table, "insert", side_effect=unavailable):
        page = get_page(client)
    assert facts_of(page)["Sessions are stored in"]["db"] == FAILED
    assert problems_of(page) == {}
    assert "192.0.2.1" not in page


def test_second_visit_makes_no_query(client: Client) -> None:
    get_page(client)
    with CaptureQueriesContext(connection) as captured:
        get_page(client)
    assert not captured


def test_missing_folder_does_not_prevent_counting(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    settings.SESSION_FILE_PATH = tmp_path / "none"
    facts = facts_of(get_page(client))
    assert facts["Round trips: read"]["file"] == "1"
    # Not the name of a folder that is gone after the trial.
    assert facts["Sessions are stored in"]["file"] == (
        f"folder {tmp_path}/none, once it exists: this trial has used a temporary one"
    )


def test_engine_of_django_is_named_but_not_listed(client: Client, settings: Settings) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    page = get_page(client, "?stores=database&holds=private&lasts=stay")
    assert "<code>django.contrib.sessions.backends.db</code>, which is not one of these" in page
    assert '<span class="badge">' not in page
    assert "This site runs on it." not in page


def test_without_debug_locations_and_measuring_are_hidden(
    client: Client, settings: Settings
) -> None:
    settings.DEBUG = False
    page = get_page(client)
    assert set(facts_of(page)["Sessions are stored in"].values()) == {
        "the server",
        "cookie sessionid of the browser",
    }
    assert "/engines/measure/" not in page
    assert client.post("/engines/measure/").status_code == 404


@contextmanager
def table_disappears() -> Iterator[None]:
    """Make the table unreachable after 20 writes."""
    original, writes = Table.compare_and_swap, iter(range(20))

    def compare_and_swap(*arguments: Any) -> bool:
        if next(writes, None) is None:
            raise StoreUnavailableError("table django_session", "No answer.")
        return original(*arguments)

    with mock.patch.object(Table, "compare_and_swap", compare_and_swap):
        yield


@pytest.mark.usefixtures("round_trips_cached")
class TestMeasuring:
    def test_button_measures_and_page_shows_figures(self, client: Client) -> None:
        assert "Not measured yet." in get_page(client)
        response = client.post("/engines/measure/")
        assert response.headers["Location"] == "/engines/#costs"
        page = get_page(client)
        assert "Median of 3 requests of each kind" in page
        assert "DEBUG on" in page
        assert page.count("<figure>") == 5
        assert page.count(" µs</dd>") == 60
        widths = [float(width) for width in re.findall(r'<rect width="([\d.]+)%"', page)]
        assert max(widths) == 100

    @pytest.mark.parametrize("check", ["cookieproj.devices.revocation.is_revoked", ""])
    def test_query_that_is_no_round_trip_is_named_at_the_charts(
        self, check: str, client: Client, settings: Settings
    ) -> None:
        settings.SESSION_REVOCATION_CHECK = check
        costs = dict.fromkeys(KINDS, Cost(50, 60, 0))
        results.keep(benchmark_of(EngineResult(OUR_ENGINES + "signed_cookies", requests=costs)))
        costs_section = get_page(client).partition('id="costs"')[2]
        sentence = (
            "Reading a signed-in session, as a sign-out does, takes 1 query to the list of ended "
            f"sessions on these engines: {'; '.join(COOKIE_ENGINES)}."
        )
        assert (sentence in costs_section) == bool(check)
        assert ("to the list of ended sessions" in costs_section) == bool(check)

    def test_bars_share_one_scale(self, client: Client) -> None:
        costs = dict.fromkeys(KINDS, Cost(50, 60, 1))
        costs["write"] = Cost(200, 300, 2)
        results.keep(benchmark_of(EngineResult(OUR_ENGINES + "db", requests=costs)))
        page = get_page(client)
        assert re.findall(r'<rect width="([\d.]+)%"', page) == (
            ["25.0", "25.0", "100.0", "25.0", "25.0"]
        )

    def test_failed_measurement_does_not_affect_facts(self, client: Client) -> None:
        results.keep(benchmark_of(EngineResult("shop.sessions", problem="No answer.")))
        page = get_page(client)
        assert facts_of(page)["Round trips: write"]["db"] == "2"
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
    def test_invalid_results_file_is_ignored(
        self, text: str, client: Client, settings: Settings
    ) -> None:
        settings.SESSION_BENCHMARK_FILE.write_text(text)
        assert results.last() is None
        assert "Not measured yet." in get_page(client)

    def test_button_shows_error(self, client: Client, settings: Settings) -> None:
        settings.SESSION_BENCHMARK_FILE = (
            settings.SESSION_BENCHMARK_FILE / "below a file that is none"
        )
        page = client.post("/engines/measure/", follow=True).content.decode()
        assert "No such file or directory" in html.unescape(page)

    def test_button_shows_failed_request(self, client: Client) -> None:
        get_page(client)
        with table_disappears():
            page = client.post("/engines/measure/", follow=True).content.decode()
        assert re.search(r"A request of the kind \w+ was answered with 503", html.unescape(page))


def benchmark_of(*engines: EngineResult) -> Benchmark:
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


@pytest.mark.usefixtures("round_trips_cached")
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
    def test_answers_lead_to_engine(
        self, stores: str, holds: str, lasts: str, engine: str, client: Client
    ) -> None:
        page = get_page(client, f"?stores={stores}&holds={holds}&lasts={lasts}")
        assert f"<b><code>{engine}</code>.</b>" in page
        read, write = ROUND_TRIPS[engine][1:3]
        assert f"{read} to read, {write} to write." in page
        assert ("such as a cart, are gone too" in page) == (engine == "cache")
        link = f'href="/switch/?old=db&new={engine}"'
        assert (link in page) == (engine != "db")
        assert ("This site runs on it." in page) == (engine == "db")

    def test_every_combination_of_answers_has_advice(self, client: Client) -> None:
        fields = QuestionsForm().fields
        choices = [[value for value, _label in field.choices] for field in fields.values()]  # type: ignore[attr-defined]
        for answers in product(*choices):
            query = "&".join(f"{name}={value}" for name, value in zip(fields, answers, strict=True))
            assert 'class="card advice"' in get_page(client, f"?{query}")

    def test_missing_and_invalid_answers_are_errors(self, client: Client) -> None:
        page = get_page(client, "?stores=redis&holds=nonsense")
        assert page.count('class="errorlist"') == 2
        assert 'class="card advice"' not in page
