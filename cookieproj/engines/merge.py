"""Three-way merge of dicts: what two requests made of one session, brought together."""

from typing import Any

Data = dict[str, Any]


def merge(base: Data, theirs: Data, ours: Data) -> Data:
    """``theirs`` with what changed from ``base`` to ``ours`` applied to it.

    ``base`` is what both sides began with, ``theirs`` what the other one has saved
    meanwhile, ``ours`` what is to be saved now. Key by key:

    - changed by one side only: that change stands;
    - set by both: ours stands, as the later save;
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
    """Whether two values would be stored alike: unlike in Python, 1 is neither True nor 1.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
