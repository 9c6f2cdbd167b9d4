"""Concurrent requests to one session, in random schedules, on each engine and each handover."""

from collections.abc import Iterator

import pytest

from .seeds import first_broken
from .setups import NAMES, NAMES_ON_MONGODB, setup_named

# How many schedules a test runs, and how many such tests each setup has, so that the processes of a
# test run can share them. Together they run ten thousand, a quarter of them in the fast tier, and a
# million with --long.
SHORT, LONG = (100, 4), (4000, 10)

# SECURITY.md lists these limits: while a session moves, a process of the previous engine ends it,
# or moves it back while ``movesessions`` runs.
NOT_PROMISED = {
    "db to cache:179": "the session ends in the old store while it moves, and a write is lost",
    "file to db:136": "three processes move the session back and forth, and it is in neither store",
}

pytestmark = pytest.mark.usefixtures("paused_at_store_calls")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "numbers" in metafunc.fixturenames:
        seed = metafunc.config.getoption("--schedule")
        long = metafunc.config.getoption("--long")
        cases = [parse_seed(seed)] if seed else list(all_cases(*(LONG if long else SHORT)))
        ids = [f"{name}-{numbers.start}" for name, numbers in cases]
        metafunc.parametrize(("name", "numbers"), cases, ids=ids)


def parse_seed(seed: str) -> tuple[str, range]:
    name, _, number = seed.rpartition(":")
    return name, range(int(number), int(number) + 1)


def all_cases(size: int, tests: int) -> Iterator[tuple[str, range]]:
    for name in NAMES:
        for start in range(0, size * tests, size):
            yield name, range(start, start + size)


@pytest.mark.parametrize("cache_url", ["redis", "memcached"], indirect=True)
@pytest.mark.parametrize("server", ["cache", "cached_db", "file to cache", "cache to cached_db"])
def test_random_schedules_on_cache_server_keep_promises(
    server: str, cache_url: str, pytestconfig: pytest.Config
) -> None:
    """A Redis script or a memcached command compares and swaps."""
    numbers = range(2000 if pytestconfig.getoption("--long") else 20)
    check_schedules(server, numbers)


@pytest.mark.parametrize("name", NAMES_ON_MONGODB)
def test_random_schedules_on_mongodb_keep_promises(name: str, pytestconfig: pytest.Config) -> None:
    check_schedules(name, range(1000 if pytestconfig.getoption("--long") else 10))


def test_random_schedules_keep_promises(name: str, numbers: range) -> None:
    check_schedules(name, numbers)


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(seed, marks=pytest.mark.xfail(reason=reason, strict=True))
        for seed, reason in NOT_PROMISED.items()
    ],
)
def test_schedule_shows_known_limit(seed: str) -> None:
    name, numbers = parse_seed(seed)
    assert first_broken(setup_named(name), numbers) is None


def check_schedules(name: str, numbers: range) -> None:
    promised = [number for number in numbers if f"{name}:{number}" not in NOT_PROMISED]
    if broken := first_broken(setup_named(name), promised):
        pytest.fail(str(broken), pytrace=False)
