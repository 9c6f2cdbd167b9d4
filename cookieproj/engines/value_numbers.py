"""Numbers for values: two values have the same number if they would be stored alike."""

import copyreg
import pickle
from typing import Any

# Values without parts. A number is identified by its text: NaN equals itself, and 0.0 is not -0.0.
ATOMS = {str, int, bool, bytes, type(None)}
NUMBERS = {float, complex}

# Values with parts, ordered ones first. A dict has its keys and values in turn.
SEQUENCES = {list, tuple}
SETS = {set, frozenset}


class ValueNumbers:
    """Numbers for values of any kind, including sets and the site's own objects.

    Each value is taken apart once, however often it occurs, and cycles end. A value that cannot be
    stored is only like itself.
    """

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        # By ``id``, which identifies a value only as long as it exists: so the value is stored as
        # well.
        self._numbered: dict[int, tuple[Any, int]] = {}

    def number(self, value: Any) -> int:
        """Return the value's number."""
        # A stack instead of recursion, whose depth Python limits.
        stack = [value]
        in_progress: dict[int, tuple[Any, Any, list[Any], int]] = {}
        while stack:
            current = stack[-1]
            if id(current) in self._numbered:
                stack.pop()
            elif id(current) not in in_progress:
                kind, parts = split_value(current)
                # A negative placeholder for a part that refers back to this value, which has no
                # number yet.
                in_progress[id(current)] = current, kind, parts, -1 - len(in_progress)
                stack += (part for part in parts if id(part) not in in_progress)
            else:
                stack.pop()
                _current, kind, parts, _placeholder = in_progress[id(current)]
                numbers = [
                    (self._numbered.get(id(part)) or in_progress[id(part)])[-1] for part in parts
                ]
                if kind in SETS:
                    numbers.sort()
                form = kind, *numbers
                self._numbered[id(current)] = (
                    current,
                    self._numbers.setdefault(form, len(self._numbers)),
                )
                del in_progress[id(current)]
        return self._numbered[id(value)][1]


def split_value(value: Any) -> tuple[Any, list[Any]]:
    """Return what identifies the value apart from its parts, and the parts."""
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
    """Return the parts of the value's pickle.

    Raises any error for a value that cannot be pickled, or is pickled by its name.
    """
    if isinstance(value, type):
        raise TypeError
    if isinstance(value, set | frozenset):
        # A set's pickle has its members in an arbitrary order.
        return [frozenset(value), getattr(value, "__dict__", None)]
    reduce = copyreg.dispatch_table.get(type(value))
    parts = reduce(value) if reduce else value.__reduce_ex__(pickle.DEFAULT_PROTOCOL)
    if not isinstance(parts, tuple):
        raise TypeError
    # After the function, its arguments and the state come two iterators, of items and of pairs.
    return [*parts[:3], *([part and list(part) for part in parts[3:5]]), *parts[5:]]
