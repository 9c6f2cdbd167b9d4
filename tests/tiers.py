"""The suite's two tiers: ``--fast`` keeps of each test what the whole matrix only repeats.

A promise is a test with one choice of its values, on one engine. The fast tier tries each promise
once: on one of the engine's stores, in the sync half, and in one switch of those that take the same
way through the code. Which store and which switch goes round from promise to promise, so that each
of them is tried by many. A test with more values than there are engines tries each value on one
engine, in turn, and each engine with some. Whatever was named, a path or an expression, is run
whole.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain, filterfalse
from random import Random
from typing import Any, NamedTuple
from zlib import crc32

import pytest

from cookieproj.engines.constants import (
    DJANGO_ENGINES,
    ENCRYPTED_COOKIES,
    OUR_ENGINES,
    SIGNED_COOKIES,
)
from cookieproj.profiles import PROFILES

from .engines.contract import Engine
from .families import IN_COOKIES
from .fault_table import WHOSE

# Whose engines a test is about, where they are not named as a whole.
FAMILY = {OUR_ENGINES, DJANGO_ENGINES, *WHOSE}

# Where modules of tests/demo run again, for the sake of the site's database.
AGAIN = {"replicated", "on_servers"}

# Parameters of which one is enough: the half of a session's interface, a database, whoever sends
# all of the thousands of things that an address may be sent.
HALF, ALIKE = "request_for", {"request_for", "database", "walker"}

# What is tried there is tried on one profile or another: those of tests/demo go through all.
ON_ANY_PROFILE = {"browser", *AGAIN}

# There both engines whose cookie is the session are one: what tells them apart is the cookie.
PAGES = {"demo", "devices"}

# What is tried there is over which connection a statement goes, whatever stands in it.
WITH_ANY_VALUE = {"replicated"}

# Options that say which tests are wanted, or how long they may take.
CHOICES = ("keyword", "markexpr", "engine", "benchmarks", "figures", "long")

# All cases, and those of the fast tier, of a run that was not told which it wants.
SUITE = pytest.StashKey[tuple[list[pytest.Item], list[pytest.Item]]]()

# Names and what they stand for.
Subjects = tuple[tuple[str, object], ...]


class Promise(NamedTuple):
    """What two cases have in common of which one is enough."""

    test: str
    family: Subjects
    engine: Subjects
    values: Subjects


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fast", action="store_true", help="each promise on each engine, on one store of it"
    )


def pytest_report_header(config: pytest.Config) -> str:
    return f"tier: {'fast' if is_fast(config) else 'all that is named, or everything'}"


def is_fast(config: pytest.Config) -> bool:
    return bool(config.getoption("--fast")) and is_whole(config)


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
    if is_fast(config):
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
    for promised in in_turn(alike):
        test, cases = promised.test, alike[promised]
        enough = [case for case in cases if not is_async(case)] or cases
        chosen.add(enough[(crc32(test.encode()) + promises[test]) % len(enough)])
        promises[test] += 1
    return (item for item in items if item in chosen)


def in_turn(promises: Iterable[Promise]) -> Iterator[Promise]:
    """Values that outnumber the engines: each on one engine of each family, on all engines some.

    Where they are that many, a test is about them. Those that have another outcome on each engine,
    a number of round trips for one, are few.
    """
    of_tests: dict[tuple[str, Subjects], dict[Subjects, list[Promise]]] = {}
    for promised in promises:
        of_test = of_tests.setdefault((promised.test, promised.family), {})
        of_test.setdefault(promised.values, []).append(promised)
    for (test, _), of_test in of_tests.items():
        by_value = list(of_test.values())
        if len(by_value) <= len(PROFILES):
            yield from chain.from_iterable(by_value)
            continue
        # Else the second of five values would meet the second engine alone, whatever the others.
        Random(test).shuffle(by_value)
        left = {promised.engine: promised for promised in chain.from_iterable(by_value)}
        for turn, on_engines in enumerate(by_value):
            promised = on_engines[turn % len(on_engines)]
            left.pop(promised.engine, None)
            yield promised
        yield from left.values()


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
    if item.path.parent.name in PAGES:
        found = {name: on_pages(value) for name, value in found.items()}
    if item.path.parent.name in ON_ANY_PROFILE:
        found = {name: value for name, value in found.items() if value not in PROFILES}
    if {"old", "new"} <= found.keys():
        found["old and new"] = found.pop("old"), found.pop("new")
    parts: dict[str, list[tuple[str, object]]] = defaultdict(list)
    for name, value in sorted(found.items()):
        for part, tried in divided(value):
            parts[part].append((name, tried))
    if item.path.parent.name in WITH_ANY_VALUE:
        parts["values"] = []
    return Promise(function(item), *(tuple(parts[part]) for part in Promise._fields[1:]))


def on_pages(value: Any) -> Any:
    return SIGNED_COOKIES if value == ENCRYPTED_COOKIES else value


def divided(value: Any) -> Iterator[tuple[str, object]]:
    """Which parts of a promise a parameter is."""
    match value:
        case Engine():
            yield "family", value.path.removesuffix(value.name)
            yield "engine", value.name
        case str() if value in FAMILY:
            yield "family", value
        case str() if value in PROFILES:
            yield "engine", value
        case _:
            yield "values", subject(value)


def subject(value: Any) -> object:
    """What a parameter makes the test be about."""
    match value:
        case (str(old), str(new)) if {old, new} <= set(PROFILES):
            found: object = way(old, new)
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
    if IN_COOKIES & {old, new}:
        return "into cookies" if new in IN_COOKIES else "out of cookies"
    return "rows stay" if {old, new} == {"db", "cached_db"} else "between stores"
