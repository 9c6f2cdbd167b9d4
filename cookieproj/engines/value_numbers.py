"""A number for what would be stored of a value: the same for two that would be stored alike."""

import copyreg
import pickle
from typing import Any

# They have no parts. A number is told by what it prints as: NaN is itself, and 0.0 is not -0.0.
ATOMS = {str, int, bool, bytes, type(None)}
NUMBERS = {float, complex}

# What is in them, in their order. Of a dict the keys and the values in turn.
SEQUENCES = {list, tuple}
SETS = {set, frozenset}


class ValueNumbers:
    """Numbers for values of any kind, sets and the site's own objects included.

    Each value is taken apart once, however many others hold it, and none that holds itself
    is gone through for ever. One that cannot be stored is like no other.
    """

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        # By identity, which is a value's own only as long as the value is kept.
        self._known: dict[int, tuple[Any, int]] = {}

    def number(self, value: Any) -> int:
        # A list of what is to do, as Python does not call itself deep enough.
        to_do = [value]
        begun: dict[int, tuple[Any, Any, list[Any], int]] = {}
        while to_do:
            each = to_do[-1]
            if id(each) in self._known:
                to_do.pop()
            elif id(each) not in begun:
                kind, parts = split_value(each)
                # Below zero: what a part that holds this one is told instead of its number.
                begun[id(each)] = each, kind, parts, -1 - len(begun)
                to_do += (part for part in parts if id(part) not in begun)
            else:
                to_do.pop()
                _each, kind, parts, _depth = begun[id(each)]
                numbers = [(self._known.get(id(part)) or begun[id(part)])[-1] for part in parts]
                if kind in SETS:
                    numbers.sort()
                form = kind, *numbers
                self._known[id(each)] = each, self._numbers.setdefault(form, len(self._numbers))
                del begun[id(each)]
        return self._known[id(value)][1]


def split_value(value: Any) -> tuple[Any, list[Any]]:
    """What tells it from others less its parts, and those."""
    kind = type(value)
    if kind in ATOMS or kind in NUMBERS:
        return (kind, repr(value) if kind in NUMBERS else value), []
    if kind in SEQUENCES or kind in SETS:
        return kind, list(value)
    if kind is dict:
        return kind, [part for item in value.items() for part in item]
    try:
        return kind, pickled_parts(value)
    except Exception:  # noqa: BLE001 - a class of the site's may raise anything
        return ("itself", id(value)), []


def pickled_parts(value: Any) -> list[Any]:
    """What its pickle is made of. Raises whatever for what has none, or is pickled by its name."""
    if isinstance(value, type):
        raise TypeError
    if isinstance(value, set | frozenset):
        # Its pickle has the members in an order that is no part of it.
        return [frozenset(value), getattr(value, "__dict__", None)]
    reduce = copyreg.dispatch_table.get(type(value))
    parts = reduce(value) if reduce else value.__reduce_ex__(pickle.DEFAULT_PROTOCOL)
    if not isinstance(parts, tuple):
        raise TypeError
    # After the function, what it is called with and the state: two iterators.
    return [*parts[:3], *([part and list(part) for part in parts[3:5]]), *parts[5:]]
