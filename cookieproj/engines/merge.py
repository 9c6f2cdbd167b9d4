"""Three-way merge of dicts: what two requests made of one session, brought together."""

from typing import Any

from .value_numbers import SEQUENCES, ValueNumbers

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
        key: value
        for key, value in ours.items()
        if key not in base or not stored_alike(base[key], value)
    }
    for key in base.keys() - ours.keys():
        if key in theirs and stored_alike(base[key], theirs[key]):
            del merged[key]
    return merged


def stored_alike(one: Any, other: Any) -> bool:
    """Whether two values would be stored alike, however deep they are.

    Unlike in Python, 1 is neither True nor 1.0, a dict in another order is another
    dict, and NaN is itself. Two objects can be equal, as two rows of one key are, and
    not hold the same. That one value stands in several places is no part of it.
    """
    pairs, seen, forms = [(one, other)], set[tuple[int, int]](), ValueNumbers()
    while pairs:
        one, other = pairs.pop()
        if one is other:
            continue
        kind = type(one)
        if kind is not type(other):
            return False
        if kind is str or kind is int:
            if one != other:
                return False
        elif kind is dict or kind in SEQUENCES:
            if len(one) != len(other):
                return False
            if (id(one), id(other)) not in seen:
                seen.add((id(one), id(other)))
                pairs += zip(one, other, strict=True)
                if kind is dict:
                    pairs += zip(one.values(), other.values(), strict=True)
        elif forms.number(one) != forms.number(other):
            return False
    return True


def same_data(one: Data, other: Data) -> bool:
    """Whether two sessions hold the same, in whatever order."""
    return one.keys() == other.keys() and all(stored_alike(one[key], other[key]) for key in one)
