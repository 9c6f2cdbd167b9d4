"""What ``scripts/test`` leaves to ``scripts/test --all`` is a repetition."""

import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

import pytest

from cookieproj.engines.constants import DJANGO_ENGINE_NAMES
from cookieproj.profiles import PROFILES

from .engines.contract import STORES, UNLIKE, Engine
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

# What a test is given in the same words, though one of them is enough: the half of the interface,
# the two ends of a switch, seeds, and the servers of a site.
ENOUGH = {"switch", "pair", "old", "new", "name", "numbers", "environment", "engine"} | ALIKE


@pytest.fixture
def suite(pytestconfig: pytest.Config) -> tuple[Items, Items]:
    """What is not left out of both tiers, and what of it is in the fast one."""
    if SUITE not in pytestconfig.stash:
        pytest.skip("of a run in which no test is named")
    everything, fast = pytestconfig.stash[SUITE]
    return [item for item in everything if not item.get_closest_marker("matrix")], fast


def by_test(
    items: Iterable[pytest.Item], what: Callable[[pytest.Item], Iterable[object]]
) -> dict[str, set[object]]:
    seen: dict[str, set[object]] = defaultdict(set)
    for item in items:
        seen[function(item)].update(what(item))
    return seen


def engines(item: pytest.Item) -> set[object]:
    """Those that the case is about: classes, profiles, or whose they are."""
    given = {name: value for name, value in given_to(item) if name not in ENOUGH}
    named = {value for value in given.values() if isinstance(value, str)} & {*PROFILES, *WHOSE}
    return named | {engine.path for engine in engines_of(item)}


def engines_of(item: pytest.Item) -> set[Engine]:
    return {value for value in parameters(item).values() if isinstance(value, Engine)}


def values(item: pytest.Item) -> set[object]:
    return {(name, repr(value)) for name, value in given_to(item) if name not in ENOUGH}


def given_to(item: pytest.Item) -> Iterable[tuple[str, object]]:
    for name, value in parameters(item).items():
        yield name, on_pages(value) if item.path.parent.name in PAGES else value


def is_once(item: pytest.Item) -> bool:
    return item.path.parent.name not in ON_ANY_PROFILE


def test_no_test_is_left_out(suite: tuple[Items, Items]) -> None:
    everything, fast = (set(map(function, items)) for items in suite)
    assert everything == fast


def test_each_is_run_on_each_engine(suite: tuple[Items, Items]) -> None:
    everything, fast = (by_test(filter(is_once, items), engines) for items in suite)
    assert everything == fast


def test_each_is_given_each_value(suite: tuple[Items, Items]) -> None:
    everything, fast = (by_test(filter(is_once, items), values) for items in suite)
    assert everything == fast


def test_values_that_are_few_are_tried_on_each_engine(suite: tuple[Items, Items]) -> None:
    everything, fast = (set(map(promise, items)) for items in suite)
    choices = defaultdict(set)
    for promised in everything:
        choices[promised.test, promised.family].add(promised.values)
    few = {each for each in everything if len(choices[each.test, each.family]) <= len(PROFILES)}
    assert few - fast == set()
    assert fast <= everything


def test_values_that_are_many_are_tried_together_as_in_the_matrix(
    suite: tuple[Items, Items],
) -> None:
    """On an engine of ours if they are there, and beside it on one of Django's."""
    everything, fast = ({promise(item)._replace(engine=()) for item in items} for items in suite)
    assert everything == fast


@pytest.mark.parametrize(("values", "tries"), [(1, 6), (6, 36), (7, 7), (8, 8), (40, 40)])
def test_engines_take_turns(values: int, tries: int) -> None:
    promises = [
        Promise("test", (), (("profile", profile),), (("value", value),))
        for profile in PROFILES
        for value in range(values)
    ]
    chosen = list(in_turn(promises))
    assert len(set(chosen)) == len(chosen) == tries
    on = Counter(promised.engine for promised in chosen)
    assert max(on.values()) - min(on.values()) <= 1
    assert len(on) == len(PROFILES)
    assert len({promised.values for promised in chosen}) == values


@pytest.mark.parametrize("test", ["a", "b", "c", "d", "e", "f"])
def test_an_engine_that_has_few_of_many_values_has_its_turn(test: str) -> None:
    many = [Promise(test, (), (("profile", "db"),), (("value", value),)) for value in range(9)]
    one = Promise(test, (), (("profile", "file"),), (("value", 3),))
    assert set(in_turn([*many, one])) >= {one}


def test_each_store_is_tried_by_many(suite: tuple[Items, Items]) -> None:
    on = Counter(engine for item in suite[1] for engine in engines_of(item))
    # Ours, Django's, the example of docs/stores.md, and what speaks as Redis does.
    djangos = [store for store in STORES if store[0] in DJANGO_ENGINE_NAMES]
    assert len(on) == len(STORES) + len(djangos) + 1 + len(UNLIKE)
    assert min(on.values()) > 10, on


def test_each_switch_is_tried_by_many(suite: tuple[Items, Items]) -> None:
    on = Counter(parameters(item).get("switch") for item in suite[1])
    assert min(on[pair] for pair in PAIRS) > 10, on


@pytest.mark.parametrize(
    "named", [["tests/engines/test_wire_format.py"], ["-k", "test_wire_format"]], ids=["path", "-k"]
)
def test_what_is_named_is_run_whole(named: list[str]) -> None:
    command = [sys.executable, "-m", "pytest", "--fast", "--collect-only", "-q", *named]
    # It takes long to collect all.
    command += ["--ignore-glob", "*/test_[!w]*"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    cases = [line for line in ran.stdout.splitlines() if "test_wire_format.py::" in line]
    assert len(cases) > 2 * len(STORES)
