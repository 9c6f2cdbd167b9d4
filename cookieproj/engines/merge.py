"""Three-way merge of dicts: what two requests made of one session, brought together."""

import pickle
from typing import Any

Data = dict[str, Any]


def merge(base: Data, theirs: Data, ours: Data) -> Data:
    """``theirs`` with what changed from ``base`` to ``ours`` applied to it.

    ``base`` is what both sides began with, ``theirs`` what the other one has saved
    meanwhile, ``ours`` what is to be saved now. Key by key:

    - changed by one side only: that change stands;
    - set by both: ours stands, as the later save, and theirs is lost;
    - set by one and deleted by the other: the value stands.

    A key set to the value that it had is not a change. The three are left as they
    are; the values in the answer are theirs and ours themselves, not copies.
    """
    merged = theirs | {
        key: value for key, value in ours.items() if key not in base or not same(base[key], value)
    }
    for key in base.keys() - ours.keys():
        if key in theirs and same(base[key], theirs[key]):
            del merged[key]
    return merged


def same(one: Any, other: Any) -> bool:
    """Whether two values would be stored alike, however deep they are.

    Unlike in Python, 1 is neither True nor 1.0, a dict in another order is another
    dict, and NaN is itself. Of what is not plain data the pickles are compared: two
    objects can be equal, as two rows of one key are, and not hold the same.
    """
    pairs = [(one, other)]
    while pairs:
        one, other = pairs.pop()
        if one is other:
            continue
        if type(one) is not type(other):
            return False
        match one:
            case dict():
                if list(one) != list(other):
                    return False
                pairs += zip(one.values(), other.values(), strict=True)
            case list() | tuple():
                if len(one) != len(other):
                    return False
                pairs += zip(one, other, strict=True)
            case str() | int() | bytes() | set() | frozenset():
                if with_types(one) != with_types(other):
                    return False
            case _:
                if stored_form(one) != stored_form(other):
                    return False
    return True


def with_types(value: Any) -> Any:
    """Of a set its members: their order is no part of it, and their types are."""
    is_set = isinstance(value, set | frozenset)
    return {(type(member), member) for member in value} if is_set else value


def stored_form(value: Any) -> Any:
    """Something to compare a value by; one that cannot be stored is like no other."""
    try:
        return repr(value) if isinstance(value, float) else pickle.dumps(value)
    except (TypeError, AttributeError, pickle.PicklingError):
        return object()


def unchanged(one: Data, other: Data) -> bool:
    """Whether two sessions hold the same, in whatever order."""
    return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
