"""The suite's two tiers: ``--fast`` keeps of each test what the whole matrix only repeats.

A promise is a test with one choice of its values, on one engine. The fast tier tries each promise
once: on one of the engine's stores, in the sync half, and in one switch of those that take the same
way through the code. Which store and which switch goes round from promise to promise, so that each
of them is tried by many. Whatever was named, a path or an expression, is run whole.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import filterfalse
from typing import Any
from zlib import crc32

import pytest

from cookieproj.profiles import PROFILES

from .engines.contract import Engine

# Where modules of tests/demo run again, for the sake of the site's database.
AGAIN = {"replicated", "on_postgresql"}

# Parameters of which one is enough: the half of a session's interface, a database, whoever sends
# all of the thousands of things that an address may be sent.
HALF, ALIKE = "request_for", {"request_for", "database", "walker"}

# What is tried there is tried on one profile or another: those of tests/demo go through all.
ON_ANY_PROFILE = {"browser", *AGAIN}

# Options that say which tests are wanted, or how long they may take.
CHOICES = ("keyword", "markexpr", "engine", "benchmarks", "figures", "long")

# All cases, and those of the fast tier, of a run that was not told which it wants.
SUITE = pytest.StashKey[tuple[list[pytest.Item], list[pytest.Item]]]()

# What two cases have in common of which one is enough.
Promise = tuple[object, ...]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fast", action="store_true", help="each promise on each engine, on one store of it"
    )


def pytest_report_header(config: pytest.Config) -> str:
    is_fast = config.getoption("--fast") and is_whole(config)
    return f"tier: {'fast' if is_fast else 'all that is named, or everything'}"


def is_whole(config: pytest.Config) -> bool:
    """Whether nobody said which tests are wanted."""
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    return not named and not any(map(config.getoption, CHOICES))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """After whatever else deselects. What is only a repetition reaches no other code either."""
    if not is_whole(config):
        return
    chosen = list(fast(items))
    repeated = list(filterfalse(set(chosen).__contains__, items))
    config.stash[SUITE] = items[:], chosen
    if config.getoption("--fast"):
        config.hook.pytest_deselected(items=repeated)
        items[:] = chosen
    for item in repeated:
        item.add_marker("no_cover")


def fast(items: Iterable[pytest.Item]) -> Iterator[pytest.Item]:
    """One case of each promise, in the order in which they came."""
    items = [item for item in items if not item.get_closest_marker("matrix")]
    alike: dict[Promise, list[pytest.Item]] = defaultdict(list)
    for item in items:
        alike[promise(item)].append(item)
    promises: dict[str, int] = defaultdict(int)
    chosen = set()
    for cases in alike.values():
        test = function(cases[0])
        enough = [case for case in cases if not is_async(case)] or cases
        chosen.add(enough[(crc32(test.encode()) + promises[test]) % len(enough)])
        promises[test] += 1
    return (item for item in items if item in chosen)


def function(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]


def parameters(item: pytest.Item) -> dict[str, Any]:
    callspec = getattr(item, "callspec", None)
    return dict(callspec.params) if callspec else {}


def is_async(item: pytest.Item) -> bool:
    """Whether it is the second half of a test that any session interface is put to."""
    return parameters(item).get(HALF) == "async"


def promise(item: pytest.Item) -> Promise:
    """What the case tries, less what it tries it with."""
    found = {name: value for name, value in parameters(item).items() if name not in ALIKE}
    if item.path.parent.name in ON_ANY_PROFILE:
        found = {name: value for name, value in found.items() if value not in PROFILES}
    if {"old", "new"} <= found.keys():
        found["old and new"] = found.pop("old"), found.pop("new")
    return function(item), *((name, subject(value)) for name, value in sorted(found.items()))


def subject(value: Any) -> object:
    """What a parameter makes the test be about."""
    match value:
        case Engine():
            found: object = value.path
        case (str(old), str(new)) if {old, new} <= set(PROFILES):
            found = way(old, new)
        case str() if " to " in value and set(value.split(" to ")) <= set(PROFILES):
            found = way(*value.split(" to "))
        case (str(profile), list()) if profile in PROFILES:
            # With the servers that it stands on.
            found = profile
        case tuple():
            found = tuple(map(subject, value))
        case range():
            # Seeds.
            found = range
        case None | str() | bytes() | int() | float():
            found = type(value), value
        case _:
            # One object is one parameter.
            found = id(value)
    return found


def way(old: str, new: str) -> str:
    """That which a session takes through the code when the site is switched to another engine."""
    if "signed_cookies" in (old, new):
        return "into cookies" if new == "signed_cookies" else "out of cookies"
    return "rows stay" if {old, new} == {"db", "cached_db"} else "between stores"
