"""Three-way merge of dicts: combines the changes of two requests to one session."""

from typing import Any

from .value_numbers import SEQUENCES, ValueNumbers

Data = dict[str, Any]

# Most values are of these types, and equal whenever they are stored alike.
SCALARS = {str, int}


def merge(base: Data, theirs: Data, ours: Data) -> Data:
    """Return ``theirs`` with the changes from ``base`` to ``ours`` applied to it.

    ``base`` is the data that both sides started from, ``theirs`` what the other side has saved
    meanwhile, ``ours`` what is to be saved now. Key by key:

    - changed by one side only: that change is kept;
    - set by both: ours is kept, as the later save, and theirs is lost;
    - set by one and deleted by the other: the value is kept.

    A key that is set to its old value is not changed. The three dicts stay as they are. The result
    contains the values themselves, not copies.
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


def stored_alike(first: Any, second: Any) -> bool:
    """Whether two values would be stored alike, at any depth.

    Unlike with ==, 1 differs from True and from 1.0, dicts differ if their order does, and NaN
    equals itself. Objects that are equal, such as two model instances with one key, can differ in
    content. It makes no difference whether one value occurs in several places.
    """
    if type(first) in SCALARS:
        return type(first) is type(second) and bool(first == second)
    return first is second or have_equal_parts(first, second)


def have_equal_parts(first: Any, second: Any) -> bool:
    """Whether they are stored alike, by all of their parts."""
    pairs, compared, value_numbers = [(first, second)], set[tuple[int, int]](), ValueNumbers()
    while pairs:
        first, second = pairs.pop()
        if first is second:
            continue
        type_ = type(first)
        if type_ is not type(second):
            return False
        if type_ is str or type_ is int:
            if first != second:
                return False
        elif type_ is dict or type_ in SEQUENCES:
            if len(first) != len(second):
                return False
            if (id(first), id(second)) not in compared:
                compared.add((id(first), id(second)))
                pairs += zip(first, second, strict=True)
                if type_ is dict:
                    pairs += zip(first.values(), second.values(), strict=True)
        elif value_numbers.number(first) != value_numbers.number(second):
            return False
    return True


def same_data(first: Data, second: Data) -> bool:
    """Whether two sessions have the same data, in any order."""
    return first.keys() == second.keys() and all(
        map(stored_alike, first.values(), map(second.__getitem__, first))
    )
