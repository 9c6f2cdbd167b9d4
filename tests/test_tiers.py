"""The cases that ``scripts/test`` leaves to ``scripts/test --all`` are repetitions."""

import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

import pytest

from cookieproj.profiles import PROFILES

from .engines.conftest import ENGINES
from .engines.contract import FAST_REDIS_COMPATIBLE, STORES, Engine
from .engines.handover_switch import PAIRS
from .fault_table import WHOSE
from .sites import ROOT
from .tiers import (
    ALIKE,
    ON_ANY_PROFILE,
    PAGES,
    SUITE,
    Promise,
    function,
    in_turn,
    on_pages,
    parameters,
    promise,
)

Items = list[pytest.Item]

# Parameters whose values need not all be in the fast tier: the interface, the engines of a switch,
# seeds, and the servers of a site.
ONE_IS_ENOUGH = {"switch", "pair", "old", "new", "name", "numbers", "environment", "engine"} | ALIKE


@pytest.fixture
def suite(pytestconfig: pytest.Config) -> tuple[Items, Items]:
    """The cases of both tiers, without those marked ``matrix``, and the cases of the fast one."""
    if SUITE not in pytestconfig.stash:
        pytest.skip("only in a run that names no tests")
    everything, fast = pytestconfig.stash[SUITE]
    return [item for item in everything if not item.get_closest_marker("matrix")], fast


def by_test(
    items: Iterable[pytest.Item], get: Callable[[pytest.Item], Iterable[object]]
) -> dict[str, set[object]]:
    collected: dict[str, set[object]] = defaultdict(set)
    for item in items:
        collected[function(item)].update(get(item))
    return collected


def engines(item: pytest.Item) -> set[object]:
    """The engines of the case: paths of classes, profiles, or whose they are."""
    given = {name: value for name, value in given_to(item) if name not in ONE_IS_ENOUGH}
    named = {value for value in given.values() if isinstance(value, str)} & {*PROFILES, *WHOSE}
    return named | {engine.path for engine in engines_of(item)}


def engines_of(item: pytest.Item) -> set[Engine]:
    return {value for value in parameters(item).values() if isinstance(value, Engine)}


def values(item: pytest.Item) -> set[object]:
    return {(name, repr(value)) for name, value in given_to(item) if name not in ONE_IS_ENOUGH}


def given_to(item: pytest.Item) -> Iterable[tuple[str, object]]:
    for name, value in parameters(item).items():
        yield name, on_pages(value) if item.path.parent.name in PAGES else value


def is_once(item: pytest.Item) -> bool:
    return item.path.parent.name not in ON_ANY_PROFILE


def test_fast_tier_has_every_test(suite: tuple[Items, Items]) -> None:
    everything, fast = (set(map(function, items)) for items in suite)
    assert everything == fast


def test_fast_tier_runs_each_test_on_each_of_its_engines(suite: tuple[Items, Items]) -> None:
    everything, fast = (by_test(filter(is_once, items), engines) for items in suite)
    assert everything == fast


def test_fast_tier_runs_each_test_with_each_of_its_values(suite: tuple[Items, Items]) -> None:
    everything, fast = (by_test(filter(is_once, items), values) for items in suite)
    assert everything == fast


def test_few_values_are_run_on_each_engine(suite: tuple[Items, Items]) -> None:
    everything, fast = (set(map(promise, items)) for items in suite)
    choices = defaultdict(set)
    for promised in everything:
        choices[promised.test, promised.family].add(promised.values)
    few = {each for each in everything if len(choices[each.test, each.family]) <= len(PROFILES)}
    assert few - fast == set()
    assert fast <= everything


def test_many_values_are_each_run_on_an_engine_of_each_family(
    suite: tuple[Items, Items],
) -> None:
    """Promises without their engine are the same in both tiers."""
    everything, fast = ({promise(item)._replace(engine=()) for item in items} for items in suite)
    assert everything == fast


@pytest.mark.parametrize(("values", "tries"), [(1, 7), (7, 49), (8, 8), (9, 9), (40, 40)])
def test_engines_take_turns_with_many_values(values: int, tries: int) -> None:
    promises = [
        Promise("test", (), (("profile", profile),), (("value", value),))
        for profile in PROFILES
        for value in range(values)
    ]
    chosen = list(in_turn(promises))
    assert len(set(chosen)) == len(chosen) == tries
    by_engine = Counter(promised.engine for promised in chosen)
    assert max(by_engine.values()) - min(by_engine.values()) <= 1
    assert len(by_engine) == len(PROFILES)
    assert len({promised.values for promised in chosen}) == values


@pytest.mark.parametrize("test", ["a", "b", "c", "d", "e", "f"])
def test_engine_with_only_one_of_many_values_has_its_turn(test: str) -> None:
    many = [Promise(test, (), (("profile", "db"),), (("value", value),)) for value in range(9)]
    one = Promise(test, (), (("profile", "file"),), (("value", 3),))
    assert set(in_turn([*many, one])) >= {one}


def test_each_store_is_used_by_many_cases(suite: tuple[Items, Items]) -> None:
    by_store = Counter(engine for item in suite[1] for engine in engines_of(item))
    # Ours, Django's, the example of docs/stores.md, and servers that are compatible with Redis.
    assert len(by_store) == len(ENGINES) + 1 + len(FAST_REDIS_COMPATIBLE)
    assert min(by_store.values()) > 10, by_store


def test_each_switch_is_used_by_many_cases(suite: tuple[Items, Items]) -> None:
    by_switch = Counter(parameters(item).get("switch") for item in suite[1])
    assert min(by_switch[pair] for pair in PAIRS) > 5, by_switch


@pytest.mark.parametrize(
    "named", [["tests/engines/test_wire_format.py"], ["-k", "test_wire_format"]], ids=["path", "-k"]
)
def test_named_tests_run_completely(named: list[str]) -> None:
    command = [sys.executable, "-m", "pytest", "--fast", "--collect-only", "-q", *named]
    # Collecting all tests would take long.
    command += ["--ignore-glob", "*/test_[!w]*"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    cases = [line for line in result.stdout.splitlines() if "test_wire_format.py::" in line]
    assert len(cases) > 2 * len(STORES)
