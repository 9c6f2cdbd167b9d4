"""The digest of session data: the same in every process, and different for different values."""

import os
import subprocess
import sys
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.utils.safestring import SafeString

from cookieproj.engines.handover.data_digest import digest


class Basket:
    def __init__(self, *items: Any) -> None:
        self.items = set(items)


PRINT_DIGESTS = """
import django

django.setup()

from datetime import date, datetime, UTC
from decimal import Decimal
from uuid import UUID
from enum import IntEnum
from django.utils.safestring import SafeString
from collections import OrderedDict, defaultdict, Counter
from cookieproj.engines.handover.data_digest import digest

class Color(IntEnum):
    RED = 1

class Basket:
    def __init__(self, *items):
        self.items = set(items)

anything = {
    "set": {"a", "b", "c", ("d", 1), frozenset({"e", "f"})},
    "frozenset": frozenset("abcdefg"),
    "object": Basket("a", "b", "c", frozenset({"d", "e"})),
    "types": {int, str, Basket},
    1: "mixed", None: "keys", ("t", 1): "tuple", frozenset({"x", "y"}): "set",
    "dates": [date(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)],
    "nan": float("nan"), "decimal": Decimal("1.10"), "uuid": UUID(int=7), "enum": Color.RED,
    "safe": SafeString("x"), "bytes": b"\\xff", "half": "\\ud800", "huge": 10 ** 5000,
    "dicts": [OrderedDict(a=1), defaultdict(set, a={"x", "y"}), Counter("abcab")],
}
print(digest(anything))
print([digest([key, value]) for key, value in anything.items()])
"""


def test_digest_is_the_same_in_every_process() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", PRINT_DIGESTS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (1, True),
        (1, 1.0),
        (1, "1"),
        (0.0, -0.0),
        ("a", b"a"),
        ([1, 2], (1, 2)),
        ([1, 2], [2, 1]),
        ([1, [2]], [[1], 2]),
        ({"a": 1}, {"a": 2}),
        ({"a": "b"}, {"b": "a"}),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
        ({1, 2}, {1, 3}),
        ({1, 2}, frozenset({1, 2})),
        ({1}, {True}),
        (date(2026, 1, 1), date(2026, 1, 2)),
        (Decimal("1.0"), Decimal("1.00")),
        (UUID(int=1), UUID(int=2)),
        (Basket(1), Basket(2)),
        ("x", SafeString("x")),
        (None, "None"),
    ],
)
def test_different_values_have_different_digests(first: Any, second: Any) -> None:
    assert digest(first) == digest(first)
    assert digest({"a": [first]}) != digest({"a": [second]})


def test_the_order_of_keys_and_sets_does_not_matter() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest(float("nan")) == digest(float("nan"))
    assert digest(Basket(1, 2)) == digest(Basket(2, 1))


def test_a_value_that_occurs_often_is_digested_once() -> None:
    """Otherwise the time would grow exponentially."""
    shared: list[Any] = []
    for _level in range(100):
        shared = [shared, shared]
    assert len(digest(shared)) == 64


def test_deeply_nested_value_has_a_digest() -> None:
    deep: list[Any] = []
    for _level in range(100_000):
        deep = [deep]
    assert len(digest(deep)) == 64


def test_value_that_contains_itself_has_a_digest() -> None:
    first, second = Basket(1), Basket(1)
    for basket in (first, second):
        basket.items.add(basket)
    assert digest(first) == digest(second)


def test_unpicklable_value_has_a_digest() -> None:
    assert digest(sys.stdout) == digest(sys.stdout)
