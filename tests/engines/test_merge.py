from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookieproj.engines.merge import Data, merge, same_data, stored_alike

KEYS = st.sampled_from("abcdef")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.floats(0, 2) | st.sampled_from(["", "x"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=4,
)
SESSIONS = st.dictionaries(KEYS, VALUES)
DELETED = object()
# What a request does to a session: some keys set, some deleted.
REQUESTS = st.dictionaries(KEYS, VALUES | st.just(DELETED))


def after(session: Data, request: dict[str, Any]) -> Data:
    result = deepcopy(session)
    for key, value in request.items():
        if value is DELETED:
            result.pop(key, None)
        else:
            result[key] = deepcopy(value)
    return result


@given(SESSIONS, REQUESTS, REQUESTS)
def test_keys_that_one_request_touched_are_as_in_either_serial_order(
    base: Data, first: dict[str, Any], second: dict[str, Any]
) -> None:
    merged = merge(base, theirs=after(base, first), ours=after(base, second))
    for serial in (after(after(base, first), second), after(after(base, second), first)):
        for key in (base.keys() | first.keys() | second.keys()) - (first.keys() & second.keys()):
            assert (key in merged) == (key in serial)
            assert key not in serial or stored_alike(merged[key], serial[key])


@given(SESSIONS, SESSIONS, SESSIONS)
def test_no_value_comes_from_nowhere(base: Data, theirs: Data, ours: Data) -> None:
    for key, value in merge(base, theirs, ours).items():
        assert any(key in side and stored_alike(value, side[key]) for side in (theirs, ours))


@given(SESSIONS, SESSIONS)
def test_a_side_that_changed_nothing_adds_nothing(base: Data, other: Data) -> None:
    assert same_data(merge(base, theirs=base, ours=other), other)
    assert same_data(merge(base, theirs=other, ours=base), other)


@given(SESSIONS, SESSIONS, SESSIONS)
def test_what_goes_in_stays_as_it_is(base: Data, theirs: Data, ours: Data) -> None:
    before = deepcopy((base, theirs, ours))
    merge(base, theirs, ours)
    assert stored_alike((base, theirs, ours), before)


@given(SESSIONS, SESSIONS, SESSIONS)
def test_merging_again_changes_nothing(base: Data, theirs: Data, ours: Data) -> None:
    merged = merge(base, theirs, ours)
    assert same_data(merge(theirs, theirs=merged, ours=merged), merged)


@pytest.mark.parametrize(
    ("base", "theirs", "ours", "merged"),
    [
        ({"a": 1}, {"a": 2}, {"a": 3}, {"a": 3}),
        ({"a": 1}, {"a": 2}, {}, {"a": 2}),
        ({"a": 1}, {}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {}, {"a": 1}, {}),
        ({"a": 1}, {"a": 1}, {}, {}),
        ({"a": 1}, {}, {}, {}),
        ({}, {"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
    ],
    ids=["both set", "we deleted", "they deleted", "only they", "only we", "both deleted", "new"],
)
def test_the_same_key(base: Data, theirs: Data, ours: Data, merged: Data) -> None:
    assert merge(base, theirs, ours) == merged


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, True), (0, False), (1, 1.0), ([1], [True]), ({"n": 0}, {"n": False}), ([1], (1,))],
)
def test_values_that_python_calls_equal_are_stored_otherwise(one: Any, other: Any) -> None:
    assert not stored_alike(one, other)
    (merged,) = merge({"a": one}, {"a": one}, {"a": other}).values()
    assert stored_alike(merged, other)


class Row:
    """Equal by its key, like a row of a table, whatever else it holds."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Row)

    def __hash__(self) -> int:
        return 1


class Array:
    """As of numpy: == gives no yes or no."""

    def __eq__(self, other: object) -> Any:
        raise ValueError("ambiguous")

    __hash__ = object.__hash__


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (Row("old"), Row("new"), False),
        (Row("old"), Row("old"), True),
        (Array(), Array(), True),
        (float("nan"), float("nan"), True),
        (0.0, -0.0, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        (lambda: 1, lambda: 1, False),
    ],
)
def test_what_counts_is_what_would_be_stored(one: Any, other: Any, alike: bool) -> None:
    assert stored_alike(one, other) is alike
    assert stored_alike([one], [other]) is alike
    assert stored_alike(one, one)


def nested(innermost: Any) -> Any:
    """Deeper than Python would go by calling itself."""
    value = innermost
    for level in range(5000):
        value = [value] if level % 2 else {"a": value}
    return value


def test_however_deep_a_value_is_it_is_compared() -> None:
    assert stored_alike(nested("x"), nested("x"))
    assert not stored_alike(nested("x"), nested("y"))


def test_sets_are_the_same_whatever_their_order() -> None:
    one, other = {7, 15}, {15, 7}
    assert list(one) != list(other)
    assert stored_alike(one, other)
    assert stored_alike([frozenset(one)], [frozenset(other)])
    assert not stored_alike({1}, {True})
    assert not stored_alike({1}, {1, 2})
    assert not stored_alike({1}, frozenset({1}))
