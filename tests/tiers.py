"""The suite's two tiers: all cases of each test, or with ``--fast`` each promise once.

A promise is a test with one choice of its values, on one engine. The fast tier runs one case of
each promise: on one store of the engine, in the synchronous version, and with one of the switches
between engines that execute the same code. The chosen store and switch vary from promise to
promise, so that each is used by many. If a test has more values than there are engines, each value
is run on one engine, in turn, and each engine with some of the values. Tests named by a path or an
expression run completely.
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

# Values of parameters that say whose engines a test is about.
FAMILY = {OUR_ENGINES, DJANGO_ENGINES, *WHOSE}

# Folders where modules of tests/demo run again with another database.
AGAIN = {"replicated", "on_servers"}

# Parameters of which one value is enough: the synchronous or asynchronous interface of sessions,
# the database, and the user who sends thousands of requests to an address.
INTERFACE, ALIKE = "request_for", {"request_for", "database", "walker"}

# Folders whose tests run on any one profile, since those of tests/demo run on all.
ON_ANY_PROFILE = {"browser", *AGAIN}

# Folders in which both cookie engines count as one, since only their cookie differs.
PAGES = {"demo", "devices"}

# Folders whose tests are about the connection of a statement, so any value is enough.
WITH_ANY_VALUE = {"replicated"}

# Options that select tests or their duration.
CHOICES = ("keyword", "markexpr", "engine", "benchmarks", "figures", "long")

# All cases and those of the fast tier, in a run without a selection.
SUITE = pytest.StashKey[tuple[list[pytest.Item], list[pytest.Item]]]()

# Names of parameters and their values.
Subjects = tuple[tuple[str, object], ...]


class Promise(NamedTuple):
    """What two cases have in common if one of them is enough."""

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
    """Whether the run has no selection of tests."""
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    return not named and not any(map(config.getoption, CHOICES))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """After all other deselections. Repetitions run without coverage: they reach no other code."""
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
    """One case of each promise, in the order of ``items``."""
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
    """Choose the promises of tests with more values than engines, and keep all others.

    Each value is run on one engine of each family, and each engine with some values. A test with
    many values is about the values. Values whose outcome differs between engines, such as numbers
    of round trips, are few.
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
        # Otherwise the second value would be run on the second engine in each test.
        Random(test).shuffle(by_value)
        unused = {promised.engine: promised for promised in chain.from_iterable(by_value)}
        for turn, on_engines in enumerate(by_value):
            promised = on_engines[turn % len(on_engines)]
            unused.pop(promised.engine, None)
            yield promised
        yield from unused.values()


def function(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]


def parameters(item: pytest.Item) -> dict[str, Any]:
    callspec = getattr(item, "callspec", None)
    return dict(callspec.params) if callspec else {}


def is_async(item: pytest.Item) -> bool:
    """Whether it is the asynchronous version of a test."""
    return parameters(item).get(INTERFACE) == "async"


def promise(item: pytest.Item) -> Promise:
    """The promise of a case, without the parameters of which one value is enough."""
    values = {name: value for name, value in parameters(item).items() if name not in ALIKE}
    if item.path.parent.name in PAGES:
        values = {name: on_pages(value) for name, value in values.items()}
    if item.path.parent.name in ON_ANY_PROFILE:
        values = {name: value for name, value in values.items() if value not in PROFILES}
    if {"old", "new"} <= values.keys():
        values["old and new"] = values.pop("old"), values.pop("new")
    parts: dict[str, list[tuple[str, object]]] = defaultdict(list)
    for name, value in sorted(values.items()):
        for part, part_value in divided(value):
            parts[part].append((name, part_value))
    if item.path.parent.name in WITH_ANY_VALUE:
        parts["values"] = []
    return Promise(function(item), *(tuple(parts[part]) for part in Promise._fields[1:]))


def on_pages(value: Any) -> Any:
    return SIGNED_COOKIES if value == ENCRYPTED_COOKIES else value


def divided(value: Any) -> Iterator[tuple[str, object]]:
    """The parts of a promise to which a parameter's value belongs, and the value there."""
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
    """The value of a parameter, or the kind of values of which one is enough."""
    match value:
        case (str(old), str(new)) if {old, new} <= set(PROFILES):
            about: object = kind_of_switch(old, new)
        case str() if " to " in value and set(value.split(" to ")) <= set(PROFILES):
            about = kind_of_switch(*value.split(" to "))
        case (str(profile), list()) if profile in PROFILES:
            # A profile with its servers.
            about = profile
        case tuple():
            about = tuple(map(subject, value))
        case range():
            # Seeds.
            about = range
        case None | str() | bytes() | int() | float():
            about = type(value), value
        case _:
            # Different objects are different values.
            about = id(value)
    return about


def kind_of_switch(old: str, new: str) -> str:
    """The code that moves a session when the site is switched to another engine."""
    if IN_COOKIES & {old, new}:
        return "into cookies" if new in IN_COOKIES else "out of cookies"
    return "rows stay" if {old, new} == {"db", "cached_db"} else "between stores"
