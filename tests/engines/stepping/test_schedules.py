"""Requests to one session, in orders that a seed chooses, on every engine and in every handover."""

from collections.abc import Iterator

import pytest

from .seeds import first_broken
from .setups import NAMES, NAMES_ON_MONGODB, world

# Of each engine and pair: so many in one test, as several processes share them, and how many such.
# They make ten thousand in the suite's time, a quarter of them in the fast tier's, and a million
# with --long.
SHORT, LONG = (100, 4), (4000, 10)

# SECURITY.md says of these what is not promised: in the moment in which one session is carried
# over, a process of the former engine ends it, or carries it back beside ``movesessions``.
BOTH_WAYS_AT_ONCE = {
    "db to cache:179": "a write to what is carried over goes with its end in the former store",
    "file to db:136": "carried to and fro by three at once, it is in neither store",
}

pytestmark = pytest.mark.usefixtures("stopped_at_trips")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "numbers" in metafunc.fixturenames:
        seed = metafunc.config.getoption("--schedule")
        long = metafunc.config.getoption("--long")
        cases = [case_of(seed)] if seed else list(cases_of(*(LONG if long else SHORT)))
        ids = [f"{name}-{numbers.start}" for name, numbers in cases]
        metafunc.parametrize(("name", "numbers"), cases, ids=ids)


def case_of(seed: str) -> tuple[str, range]:
    name, _, number = seed.rpartition(":")
    return name, range(int(number), int(number) + 1)


def cases_of(number: int, tests: int) -> Iterator[tuple[str, range]]:
    for name in NAMES:
        for start in range(0, number * tests, number):
            yield name, range(start, start + number)


@pytest.mark.parametrize("cache_url", ["redis", "memcached"], indirect=True)
@pytest.mark.parametrize("server", ["cache", "cached_db", "file to cache", "cache to cached_db"])
def test_nor_on_a_server(server: str, cache_url: str, pytestconfig: pytest.Config) -> None:
    """What compares and swaps there is a script, or a command, of the server's own."""
    numbers = range(2000 if pytestconfig.getoption("--long") else 20)
    all_is_kept(server, numbers)


@pytest.mark.parametrize("on_mongodb", NAMES_ON_MONGODB)
def test_nor_on_mongodb(on_mongodb: str, pytestconfig: pytest.Config) -> None:
    all_is_kept(on_mongodb, range(1000 if pytestconfig.getoption("--long") else 10))


def test_a_session_is_what_it_may_be(name: str, numbers: range) -> None:
    all_is_kept(name, numbers)


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(seed, marks=pytest.mark.xfail(reason=reason, strict=True))
        for seed, reason in BOTH_WAYS_AT_ONCE.items()
    ],
)
def test_what_is_not_promised(seed: str) -> None:
    name, numbers = case_of(seed)
    assert first_broken(world(name), numbers) is None


def all_is_kept(name: str, numbers: range) -> None:
    promised = [number for number in numbers if f"{name}:{number}" not in BOTH_WAYS_AT_ONCE]
    if broken := first_broken(world(name), promised):
        pytest.fail(str(broken), pytrace=False)
