"""Values count as changed if they would be stored differently. Comparing them is fast."""

import copy
import pickle
import sys
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.utils.safestring import mark_safe
from pytest_django import Settings

from cookieproj.engines.merge import Data, merge, same_data, stored_alike
from cookieproj.engines.validation import MAX_DEPTH, is_too_deep, validate
from tests.stores import before, steps_of

from .contract import ALL, Engine, kept, on_engines


class Color(Enum):
    RED = 1
    BLUE = 2


@dataclass
class Cart:
    items: set[Any] = field(default_factory=set)
    bought: Any = None


class Tag:
    """Compared by identity, so that no set finds an equal one by its hash."""

    def __init__(self, *values: Any) -> None:
        self.values = values


class Named:
    """Equal to all others of the same name, whatever their note is."""

    def __init__(self, name: str, note: Any = None) -> None:
        self.name, self.note = name, note

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


class Words(list[str]):
    """A subclass with an attribute, like the following ones."""

    language = "en"


class Text(str):
    language = "en"


class Number(int):
    pass


class Labels(set[Any]):
    pass


def with_language(value: Any, language: str) -> Any:
    value.language = language
    return value


def numbers() -> set[int]:
    """The numbers collide, so their order in a set depends on the order of insertion."""
    return {148, 11, 213, 284}


def reordered() -> set[int]:
    return {284, 213, 11, 148}


NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)

# Pairs of functions whose results are stored alike, but have no object in common.
ALIKE: list[tuple[Callable[[], Any], Callable[[], Any]]] = [
    (numbers, reordered),
    (lambda: frozenset(numbers()), lambda: frozenset(reordered())),
    (lambda: (numbers(), [numbers()]), lambda: (reordered(), [reordered()])),
    (lambda: {frozenset(numbers()), 1}, lambda: {1, frozenset(reordered())}),
    (lambda: {(1, frozenset(numbers()))}, lambda: {(1, frozenset(reordered()))}),
    (lambda: Cart(numbers(), NOW), lambda: Cart(reordered(), NOW)),
    (lambda: Tag([Cart(numbers())]), lambda: Tag([Cart(reordered())])),
    (lambda: {Tag(1), Tag(2), Tag(2)}, lambda: {Tag(2), Tag(1), Tag(2)}),
    (lambda: {Tag(numbers()), Tag(1)}, lambda: {Tag(1), Tag(reordered())}),
    (lambda: {Named("a", numbers())}, lambda: {Named("a", reordered())}),
    (lambda: {float("nan"), (1, float("nan"))}, lambda: {(1, float("nan")), float("nan")}),
    (lambda: [float("nan"), {"a": float("nan")}],) * 2,
    (lambda: Labels(numbers()), lambda: Labels(reordered())),
    (lambda: with_language(Words(["a"]), "zh"),) * 2,
    (lambda: with_language(Text("a"), "zh"),) * 2,
    (
        lambda: {Text("a"), Number(3), mark_safe("b")},
        lambda: {mark_safe("b"), Number(3), Text("a")},
    ),
    (lambda: OrderedDict(a=numbers()), lambda: OrderedDict(a=reordered())),
    (lambda: defaultdict(list, a=[1]),) * 2,
    (lambda: Counter("hello"),) * 2,
    (lambda: datetime(2026, 1, 2, tzinfo=ZoneInfo("Asia/Tokyo")),) * 2,
    (lambda: datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=9))),) * 2,
    (lambda: {datetime(2026, 1, 2, tzinfo=ZoneInfo("Asia/Tokyo")), Decimal("1.10")},) * 2,
    (lambda: [Decimal("1.10"), Fraction(1, 3), UUID(int=7), Color.RED, timedelta(1)],) * 2,
    (lambda: range(9),) * 2,
    (lambda: [b"\0", bytearray(b"a"), 1j, 10**5000, len, Cart, pytest],) * 2,
]

# Many of these are equal in Python, but all are stored differently.
DIFFERENT: list[tuple[Any, Any]] = [
    ({1}, {True}),
    ({(1,)}, {(True,)}),
    ({(1.0,)}, {(1,)}),
    ({0.0}, {-0.0}),
    ({frozenset({1})}, {frozenset({1.0})}),
    ({1: "a"}, {True: "a"}),
    ({Named("a", 1)}, {Named("a", 2)}),
    ({Tag(1), Tag(2), Tag(2)}, {Tag(1), Tag(1), Tag(2)}),
    (Labels({1}), with_language(Labels({1}), "zh")),
    (with_language(Words(["a"]), "zh"), with_language(Words(["a"]), "en")),
    (with_language(Text("a"), "zh"), with_language(Text("a"), "en")),
    (Text("a"), "a"),
    (Number(1), 1),
    (Words("a"), ["a"]),
    (OrderedDict(a=1), {"a": 1}),
    (OrderedDict(a=1), OrderedDict(a=True)),
    (defaultdict(list, a=1), defaultdict(dict, a=1)),
    (Decimal("1.1"), Decimal("1.10")),
    (
        datetime(2026, 1, 2, tzinfo=UTC),
        datetime(2026, 1, 2, 9, tzinfo=timezone(timedelta(hours=9))),
    ),
    (datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=ZoneInfo("UTC"))),
    (Cart({1}), Cart({1, 2})),
    (Color.RED, Color.BLUE),
    (len, max),
    (Cart, Tag),
    ({1, 2}, {1, 3}),
]


@pytest.mark.parametrize(("make_first", "make_second"), ALIKE)
def test_values_stored_alike_count_as_unchanged(
    make_first: Callable[[], Any], make_second: Callable[[], Any]
) -> None:
    assert stored_alike(make_first(), make_second())
    assert stored_alike({"a": [make_first()]}, {"a": [make_second()]})
    assert stored_alike(Tag(make_first()), Tag(make_second()))
    assert merge({"a": make_first()}, {"a": 1}, {"a": make_second()}) == {"a": 1}


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
def test_values_stored_differently_count_as_changed(first: Any, second: Any) -> None:
    assert not stored_alike(first, second)
    assert not stored_alike(second, first)
    assert not stored_alike(Tag([first]), Tag([second]))
    assert stored_alike(first, copy.deepcopy(first))


def circular(name: str) -> list[Any]:
    value: list[Any] = [name]
    value += [value, {"again": value}, Tag(value)]
    return value


def test_stored_alike_compares_circular_values() -> None:
    assert stored_alike(circular("a"), circular("a"))
    assert not stored_alike(circular("a"), circular("b"))
    assert stored_alike(Tag(circular("a")), Tag(circular("a")))
    assert not stored_alike(Tag(circular("a")), Tag(circular("b")))


def shared(levels: int, innermost: Any, pair: Callable[[Any], Any] = lambda x: [x, x]) -> Any:
    value = innermost
    for _level in range(levels):
        value = pair(value)
    return value


PAIRS: dict[str, Callable[[Any], Any]] = {
    "lists": lambda x: [x, x],
    "tuples": lambda x: (x, x),
    "dicts": lambda x: {"a": x, "b": x},
    "objects": lambda x: Tag(x, x),
    "sets": lambda x: frozenset({(1, x), (2, x)}),
    "unhashed sets": lambda x: frozenset({Tag(x), Tag(x)}),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("levels", [22, 60])
def test_shared_values_are_compared_once(pair: Callable[[Any], Any], levels: int) -> None:
    """With 60 levels, comparing each occurrence would take forever."""
    if levels == 60 and pair is PAIRS["sets"]:
        pytest.skip("Creating such a set takes forever, since Python hashes each occurrence.")
    first, same, different = (
        {"a": shared(levels, innermost, pair)} for innermost in ((1, "x"), (1, "x"), (1, "y"))
    )
    assert same_data(first, same)
    assert not same_data(first, different)
    assert merge(first, same, different) == {"a": different["a"]}
    validate(first)


def test_depth_is_length_of_longest_path_without_circles() -> None:
    assert is_too_deep({"a": shared(MAX_DEPTH, 1)})
    assert not is_too_deep({"a": shared(MAX_DEPTH - 1, 1)})
    assert not is_too_deep({"a": circular("a")})
    assert is_too_deep({"a": [circular("a"), shared(MAX_DEPTH, 1)]})


def test_stored_alike_is_not_recursive() -> None:
    first: Any = Tag("x")
    second: Any = Tag("x")
    for _level in range(2 * sys.getrecursionlimit()):
        first, second = (Tag(first),), (Tag(second),)
    assert stored_alike(first, second)


def test_values_that_cannot_be_stored_are_alike_only_if_identical() -> None:
    class Unpicklable:
        def __reduce_ex__(self, protocol: Any) -> Any:
            raise RuntimeError

    makers: list[Callable[[], Any]] = [
        lambda: iter("a" for _ in "a"),
        Unpicklable,
        lambda: lambda: 1,
    ]
    for make in makers:
        value = make()
        assert stored_alike({1: value}, {1: value})
        assert not stored_alike({1: value}, {1: make()})
        assert not stored_alike({value}, {make()})


class PickleSerializer:
    def dumps(self, value: Any) -> bytes:
        return pickle.dumps(value)

    def loads(self, value: bytes) -> Any:
        return pickle.loads(value)


@pytest.fixture
def pickling(engine: Engine, settings: Settings) -> Engine:
    """The engine with pickle as the serializer, which is a cache's default."""
    settings.SESSION_SERIALIZER = f"{__name__}.PickleSerializer"
    if engine.cache == "redis":
        options = {"serializer": "django.core.cache.backends.redis.RedisSerializer"}
        sessions = settings.CACHES["sessions"] | {"OPTIONS": options}
        settings.CACHES = settings.CACHES | {"sessions": sessions}
    return engine


def saved(engine: Engine, **data: Any) -> Any:
    session = engine.Store()
    session.update(data)
    session.save()
    return session


SETS = [
    numbers,
    lambda: [frozenset(numbers())],
    lambda: Cart(numbers()),
    lambda: {Tag(1), Tag(numbers())},
    lambda: OrderedDict(a=numbers()),
]


@on_engines(lambda engine: engine.on_server)
@pytest.mark.parametrize("make", SETS)
def test_value_that_was_only_read_overwrites_nothing(
    pickling: Engine, make: Callable[[], Any]
) -> None:
    key = saved(pickling, seen=make()).session_key
    reader, writer = pickling.Store(key), pickling.Store(key)
    reader.get("seen")
    writer["seen"] = "changed"
    writer.save()
    reader["x"] = 1
    reader.save()
    data: Data = dict(pickling.Store(key).items())
    kept(pickling, data == {"seen": "changed", "x": 1}, data, ALL)


@on_engines(lambda engine: engine.ours and engine.name in {"db", "file", "cached_db"})
@pytest.mark.parametrize("make", SETS)
def test_value_that_was_only_read_is_not_written(pickling: Engine, make: Callable[[], Any]) -> None:
    key = saved(pickling, seen=make()).session_key
    session = pickling.Store(key)
    session.get("seen")
    written: list[Any] = []
    with steps_of(pickling.Store, compare_and_swap=before(lambda: written.append(session))):
        session.save()
    assert not written


@pytest.mark.parametrize("levels", [22, 60])
def test_shared_and_circular_values_are_saved(pickling: Engine, levels: int) -> None:
    session = saved(pickling, color="blue")
    again = pickling.Store(session.session_key)
    again["deep"], again["circle"] = shared(levels, "x"), circular("a")
    again.save()
    third = pickling.Store(again.session_key)
    third["y"] = 1
    third.save()
    stored = pickling.Store(third.session_key)
    assert stored_alike(stored["deep"], shared(levels, "x"))
    assert stored_alike(stored["circle"], circular("a"))
    assert (stored["color"], stored["y"]) == ("blue", 1)


def test_session_survives_failed_save_of_circular_value(engine: Engine) -> None:
    """JSON, which our engines use in Redis too, cannot store it."""
    session = saved(engine, color="blue")
    session["circle"] = circular("a")[:3]
    with suppress(ValueError):
        session.save()
    assert engine.Store(session.session_key)["color"] == "blue"
