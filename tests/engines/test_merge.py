"""The merge of two sessions that were changed at the same time."""

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
# The changes of a request: some keys are set, some deleted.
CHANGES = st.dictionaries(KEYS, VALUES | st.just(DELETED))


def changed(session: Data, changes: dict[str, Any]) -> Data:
    result = deepcopy(session)
    for key, value in changes.items():
        if value is DELETED:
            result.pop(key, None)
        else:
            result[key] = deepcopy(value)
    return result


@given(SESSIONS, CHANGES, CHANGES)
def test_keys_changed_by_one_request_are_as_in_any_serial_order(
    base: Data, first: dict[str, Any], second: dict[str, Any]
) -> None:
    merged = merge(base, theirs=changed(base, first), ours=changed(base, second))
    for serial in (changed(changed(base, first), second), changed(changed(base, second), first)):
        for key in (base.keys() | first.keys() | second.keys()) - (first.keys() & second.keys()):
            assert (key in merged) == (key in serial)
            assert key not in serial or stored_alike(merged[key], serial[key])


@given(SESSIONS, SESSIONS, SESSIONS)
def test_merged_value_is_of_one_side(base: Data, theirs: Data, ours: Data) -> None:
    for key, value in merge(base, theirs, ours).items():
        assert any(key in side and stored_alike(value, side[key]) for side in (theirs, ours))


@given(SESSIONS, SESSIONS)
def test_merge_with_unchanged_side_is_other_side(base: Data, other: Data) -> None:
    assert same_data(merge(base, theirs=base, ours=other), other)
    assert same_data(merge(base, theirs=other, ours=base), other)


@given(SESSIONS, SESSIONS, SESSIONS)
def test_merge_does_not_change_its_arguments(base: Data, theirs: Data, ours: Data) -> None:
    before = deepcopy((base, theirs, ours))
    merge(base, theirs, ours)
    assert stored_alike((base, theirs, ours), before)


@given(SESSIONS, SESSIONS, SESSIONS)
def test_merge_is_idempotent(base: Data, theirs: Data, ours: Data) -> None:
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
def test_merge_of_same_key(base: Data, theirs: Data, ours: Data, merged: Data) -> None:
    assert merge(base, theirs, ours) == merged


@pytest.mark.parametrize(
    ("first", "second"),
    [(1, True), (0, False), (1, 1.0), ([1], [True]), ({"n": 0}, {"n": False}), ([1], (1,))],
)
def test_equal_values_of_different_types_are_stored_differently(first: Any, second: Any) -> None:
    assert not stored_alike(first, second)
    (merged,) = merge({"a": first}, {"a": first}, {"a": second}).values()
    assert stored_alike(merged, second)


class Row:
    """All are equal, like model instances with the same primary key."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Row)

    def __hash__(self) -> int:
        return 1


class Array:
    """Has no boolean ``==``, like a numpy array."""

    def __eq__(self, other: object) -> Any:
        raise ValueError("ambiguous")

    __hash__ = object.__hash__


@pytest.mark.parametrize(
    ("first", "second", "alike"),
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
def test_stored_alike_compares_stored_form(first: Any, second: Any, alike: bool) -> None:
    assert stored_alike(first, second) is alike
    assert stored_alike([first], [second]) is alike
    assert stored_alike(first, first)


def nested(innermost: Any) -> Any:
    """Nest it deeper than Python's recursion limit."""
    value = innermost
    for level in range(5000):
        value = [value] if level % 2 else {"a": value}
    return value


def test_stored_alike_compares_deeply_nested_values() -> None:
    assert stored_alike(nested("x"), nested("x"))
    assert not stored_alike(nested("x"), nested("y"))


def test_stored_alike_ignores_order_of_sets() -> None:
    first, second = {7, 15}, {15, 7}
    assert list(first) != list(second)
    assert stored_alike(first, second)
    assert stored_alike([frozenset(first)], [frozenset(second)])
    assert not stored_alike({1}, {True})
    assert not stored_alike({1}, {1, 2})
    assert not stored_alike({1}, frozenset({1}))
