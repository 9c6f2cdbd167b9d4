"""What counts as changed is what would be stored otherwise, and to find out takes no time."""

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
    """Equal to none but itself, so that no set finds it by its hash."""

    def __init__(self, *values: Any) -> None:
        self.values = values


class Named:
    """Equal to all others of its name, whatever else it holds."""

    def __init__(self, name: str, note: Any = None) -> None:
        self.name, self.note = name, note

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


class Words(list[str]):
    """With a state of its own, as other subclasses here."""

    language = "en"


class Text(str):
    language = "en"


class Number(int):
    pass


class Kinds(set[Any]):
    pass


def with_language(value: Any, language: str) -> Any:
    value.language = language
    return value


def numbers() -> set[int]:
    """Whose order depends on the order in which they came."""
    return {148, 11, 213, 284}


def other_order() -> set[int]:
    return {284, 213, 11, 148}


NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)

# Two makers of values that are stored alike, though none of the parts is the same object.
ALIKE: list[tuple[Callable[[], Any], Callable[[], Any]]] = [
    (numbers, other_order),
    (lambda: frozenset(numbers()), lambda: frozenset(other_order())),
    (lambda: (numbers(), [numbers()]), lambda: (other_order(), [other_order()])),
    (lambda: {frozenset(numbers()), 1}, lambda: {1, frozenset(other_order())}),
    (lambda: {(1, frozenset(numbers()))}, lambda: {(1, frozenset(other_order()))}),
    (lambda: Cart(numbers(), NOW), lambda: Cart(other_order(), NOW)),
    (lambda: Tag([Cart(numbers())]), lambda: Tag([Cart(other_order())])),
    (lambda: {Tag(1), Tag(2), Tag(2)}, lambda: {Tag(2), Tag(1), Tag(2)}),
    (lambda: {Tag(numbers()), Tag(1)}, lambda: {Tag(1), Tag(other_order())}),
    (lambda: {Named("a", numbers())}, lambda: {Named("a", other_order())}),
    (lambda: {float("nan"), (1, float("nan"))}, lambda: {(1, float("nan")), float("nan")}),
    (lambda: [float("nan"), {"a": float("nan")}],) * 2,
    (lambda: Kinds(numbers()), lambda: Kinds(other_order())),
    (lambda: with_language(Words(["a"]), "zh"),) * 2,
    (lambda: with_language(Text("a"), "zh"),) * 2,
    (
        lambda: {Text("a"), Number(3), mark_safe("b")},
        lambda: {mark_safe("b"), Number(3), Text("a")},
    ),
    (lambda: OrderedDict(a=numbers()), lambda: OrderedDict(a=other_order())),
    (lambda: defaultdict(list, a=[1]),) * 2,
    (lambda: Counter("hello"),) * 2,
    (lambda: datetime(2026, 1, 2, tzinfo=ZoneInfo("Asia/Tokyo")),) * 2,
    (lambda: datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=9))),) * 2,
    (lambda: {datetime(2026, 1, 2, tzinfo=ZoneInfo("Asia/Tokyo")), Decimal("1.10")},) * 2,
    (lambda: [Decimal("1.10"), Fraction(1, 3), UUID(int=7), Color.RED, timedelta(1)],) * 2,
    (lambda: range(9),) * 2,
    (lambda: [b"\0", bytearray(b"a"), 1j, 10**5000, len, Cart, pytest],) * 2,
]

# Equal in Python, many of them; stored they are something else.
OTHER: list[tuple[Any, Any]] = [
    ({1}, {True}),
    ({(1,)}, {(True,)}),
    ({(1.0,)}, {(1,)}),
    ({0.0}, {-0.0}),
    ({frozenset({1})}, {frozenset({1.0})}),
    ({1: "a"}, {True: "a"}),
    ({Named("a", 1)}, {Named("a", 2)}),
    ({Tag(1), Tag(2), Tag(2)}, {Tag(1), Tag(1), Tag(2)}),
    (Kinds({1}), with_language(Kinds({1}), "zh")),
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


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_what_would_be_stored_alike_is_the_same(
    one: Callable[[], Any], other: Callable[[], Any]
) -> None:
    assert stored_alike(one(), other())
    assert stored_alike({"a": [one()]}, {"a": [other()]})
    assert stored_alike(Tag(one()), Tag(other()))
    assert merge({"a": one()}, {"a": 1}, {"a": other()}) == {"a": 1}


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_what_would_not_is_not(one: Any, other: Any) -> None:
    assert not stored_alike(one, other)
    assert not stored_alike(other, one)
    assert not stored_alike(Tag([one]), Tag([other]))
    assert stored_alike(one, copy.deepcopy(one))


def holding_itself(name: str) -> list[Any]:
    value: list[Any] = [name]
    value += [value, {"again": value}, Tag(value)]
    return value


def test_what_holds_itself_is_compared_to_its_end() -> None:
    assert stored_alike(holding_itself("a"), holding_itself("a"))
    assert not stored_alike(holding_itself("a"), holding_itself("b"))
    assert stored_alike(Tag(holding_itself("a")), Tag(holding_itself("a")))
    assert not stored_alike(Tag(holding_itself("a")), Tag(holding_itself("b")))


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
def test_what_is_shared_is_gone_through_once(pair: Callable[[Any], Any], levels: int) -> None:
    """Of 60 levels there are more ways than anybody could wait for."""
    if levels == 60 and pair is PAIRS["sets"]:
        pytest.skip("To make it Python asks for each hash, each of which goes all the ways.")
    one, other, unlike = (
        {"a": shared(levels, innermost, pair)} for innermost in ((1, "x"), (1, "x"), (1, "y"))
    )
    assert same_data(one, other)
    assert not same_data(one, unlike)
    assert merge(one, other, unlike) == {"a": unlike["a"]}
    validate(one)


def test_depth_is_that_of_the_longest_way_and_a_circle_adds_none() -> None:
    assert is_too_deep({"a": shared(MAX_DEPTH, 1)})
    assert not is_too_deep({"a": shared(MAX_DEPTH - 1, 1)})
    assert not is_too_deep({"a": holding_itself("a")})
    assert is_too_deep({"a": [holding_itself("a"), shared(MAX_DEPTH, 1)]})


def test_it_is_compared_without_python_calling_itself() -> None:
    deep: Any = Tag("x")
    for _level in range(2 * sys.getrecursionlimit()):
        deep = (Tag(deep),)
    other: Any = Tag("x")
    for _level in range(2 * sys.getrecursionlimit()):
        other = (Tag(other),)
    assert stored_alike(deep, other)


def test_what_cannot_be_stored_is_like_no_other() -> None:
    class Refuses:
        def __reduce_ex__(self, protocol: Any) -> Any:
            raise RuntimeError

    makers: list[Callable[[], Any]] = [lambda: iter("a" for _ in "a"), Refuses, lambda: lambda: 1]
    for make in makers:
        value = make()
        assert stored_alike({1: value}, {1: value})
        assert not stored_alike({1: value}, {1: make()})
        assert not stored_alike({value}, {make()})


class Pickles:
    def dumps(self, value: Any) -> bytes:
        return pickle.dumps(value)

    def loads(self, value: bytes) -> Any:
        return pickle.loads(value)


@pytest.fixture
def pickling(engine: Engine, settings: Settings) -> Engine:
    """The engine, where everything is pickled, as a cache does by default."""
    settings.SESSION_SERIALIZER = f"{__name__}.Pickles"
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
def test_what_was_only_read_overwrites_nothing(pickling: Engine, make: Callable[[], Any]) -> None:
    key = saved(pickling, seen=make()).session_key
    one, other = pickling.Store(key), pickling.Store(key)
    one.get("seen")
    other["seen"] = "changed"
    other.save()
    one["x"] = 1
    one.save()
    data: Data = dict(pickling.Store(key).items())
    kept(pickling, data == {"seen": "changed", "x": 1}, data, ALL)


@on_engines(lambda engine: engine.ours and engine.name in {"db", "file", "cached_db"})
@pytest.mark.parametrize("make", SETS)
def test_what_was_only_read_is_not_written_again(pickling: Engine, make: Callable[[], Any]) -> None:
    key = saved(pickling, seen=make()).session_key
    session = pickling.Store(key)
    session.get("seen")
    written: list[Any] = []
    with steps_of(pickling.Store, compare_and_swap=before(lambda: written.append(session))):
        session.save()
    assert not written


@pytest.mark.parametrize("levels", [22, 60])
def test_what_is_shared_and_what_holds_itself_is_saved(pickling: Engine, levels: int) -> None:
    session = saved(pickling, color="blue")
    again = pickling.Store(session.session_key)
    again["deep"], again["circle"] = shared(levels, "x"), holding_itself("a")
    again.save()
    third = pickling.Store(again.session_key)
    third["y"] = 1
    third.save()
    found = pickling.Store(third.session_key)
    assert stored_alike(found["deep"], shared(levels, "x"))
    assert stored_alike(found["circle"], holding_itself("a"))
    assert (found["color"], found["y"]) == ("blue", 1)


def test_where_what_is_stored_cannot_hold_itself_the_session_stays(engine: Engine) -> None:
    """In JSON, which is what ours puts into Redis too."""
    session = saved(engine, color="blue")
    session["circle"] = holding_itself("a")[:3]
    with suppress(ValueError):
        session.save()
    assert engine.Store(session.session_key)["color"] == "blue"
