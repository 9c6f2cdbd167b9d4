"""A digest of whatever a store can hold, the same in every process that reads it.

Neither ``repr`` nor a pickle is: a set has another order in each process. An object is taken
apart as a pickle would do it. What stands in several places is looked at once.
"""

import copyreg
from hashlib import sha256
from itertools import chain
from types import BuiltinFunctionType, FunctionType, NoneType
from typing import Any, NamedTuple

PLAIN = {NoneType, bool, int, float, str, bytes}

# Of pickles. It decides how objects tell what they are made of.
PROTOCOL = 4


class Parts(NamedTuple):
    """What a value is by itself, and what it holds. It is kept, so that no other gets its id."""

    value: Any
    name: str
    members: list[Any]


def digest(value: Any) -> str:
    """64 hexadecimal digits."""
    parts: dict[int, Parts] = {}
    digests: dict[int, bytes] = {}
    stack = [value]
    while stack:
        value = stack[-1]
        if id(value) not in parts:
            parts[id(value)] = split_parts(value)
            stack += [each for each in parts[id(value)].members if id(each) not in parts]
            continue
        if id(value) not in digests:
            digests[id(value)] = combine_digests(parts[id(value)], digests)
        stack.pop()
    return digests[id(value)].hex()


def combine_digests(parts: Parts, digests: dict[int, bytes]) -> bytes:
    # A value that holds itself has no digest yet.
    found = [digests.get(id(member), b"") for member in parts.members]
    match parts.value:
        case set() | frozenset():
            found.sort()
        case dict() if type(parts.value) is dict:
            found = sorted(map(b"".join, zip(found[::2], found[1::2], strict=True)))
    name = parts.name.encode("utf-8", "surrogatepass")
    return sha256(sha256(name).digest() + b"".join(found)).digest()


def split_parts(value: Any) -> Parts:
    kind = type(value)
    name, members = f"{kind.__module__}.{kind.__qualname__}", []
    if kind in PLAIN:
        name = f"{name} {text_of(value)}"
    elif isinstance(value, type | FunctionType | BuiltinFunctionType):
        name = f"{name} {value.__module__}.{value.__qualname__}"
    elif kind is dict:
        members = list(chain.from_iterable(value.items()))
    elif kind in {list, tuple} or isinstance(value, set | frozenset):
        members = list(value)
    else:
        members = reduce_like_pickle(value)
    return Parts(value, name, members)


def text_of(value: Any) -> str:
    match value:
        case str():
            return value
        case bytes():
            return value.hex()
        case int():
            # Python writes no number of thousands of digits in tens.
            return hex(value)
    return repr(value)


def reduce_like_pickle(value: Any) -> list[Any]:
    """How a pickle would make it anew; nothing of what no pickle can hold."""
    try:
        own = copyreg.dispatch_table.get(type(value))
        made: Any = own(value) if own else value.__reduce_ex__(PROTOCOL)
        if isinstance(made, str):
            return [made]
        make, arguments, state, items, pairs = [*made, None, None, None, None][:5]
        return [make, arguments, state, list(items or ()), list(pairs or ())]
    except Exception:  # noqa: BLE001 - an object may raise anything
        return []
