"""A digest of any value that a store can hold, the same in every process.

Neither ``repr`` nor a pickle is the same: each process iterates over a set in another order. An
object is split into its parts as pickle would do it. A value that occurs several times is
digested once.
"""

import copyreg
from hashlib import sha256
from itertools import chain
from types import BuiltinFunctionType, FunctionType, NoneType
from typing import Any, NamedTuple

ATOMIC_TYPES = {NoneType, bool, int, float, str, bytes}

# Part of the digest: an object's ``__reduce_ex__`` may return other parts for another protocol.
PICKLE_PROTOCOL = 4


class Parts(NamedTuple):
    """A value split into a name and its members.

    The value itself is kept so that no other object gets its ``id`` meanwhile.
    """

    value: Any
    name: str
    members: list[Any]


def digest(value: Any) -> str:
    """Return the SHA-256 digest of the value, as 64 hexadecimal digits."""
    parts: dict[int, Parts] = {}
    digests: dict[int, bytes] = {}
    stack = [value]
    while stack:
        value = stack[-1]
        if id(value) not in parts:
            parts[id(value)] = split_parts(value)
            stack += [member for member in parts[id(value)].members if id(member) not in parts]
            continue
        if id(value) not in digests:
            digests[id(value)] = combine_digests(parts[id(value)], digests)
        stack.pop()
    return digests[id(value)].hex()


def combine_digests(parts: Parts, digests: dict[int, bytes]) -> bytes:
    """Return the digest of a value from its name and the digests of its members."""
    # A value that contains itself has no digest yet.
    member_digests = [digests.get(id(member), b"") for member in parts.members]
    match parts.value:
        case set() | frozenset():
            member_digests.sort()
        case dict() if type(parts.value) is dict:
            items = zip(member_digests[::2], member_digests[1::2], strict=True)
            member_digests = sorted(map(b"".join, items))
    name = parts.name.encode("utf-8", "surrogatepass")
    return sha256(sha256(name).digest() + b"".join(member_digests)).digest()


def split_parts(value: Any) -> Parts:
    kind = type(value)
    name, members = f"{kind.__module__}.{kind.__qualname__}", []
    if kind in ATOMIC_TYPES:
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
            # Python refuses to write a number of thousands of digits in decimal.
            return hex(value)
    return repr(value)


def reduce_like_pickle(value: Any) -> list[Any]:
    """Return what a pickle would rebuild the object from; empty for what cannot be pickled."""
    try:
        reducer = copyreg.dispatch_table.get(type(value))
        reduced: Any = reducer(value) if reducer else value.__reduce_ex__(PICKLE_PROTOCOL)
        if isinstance(reduced, str):
            return [reduced]
        rebuild, arguments, state, items, pairs = [*reduced, None, None, None, None][:5]
        return [rebuild, arguments, state, list(items or ()), list(pairs or ())]
    except Exception:  # noqa: BLE001 - an object may raise anything
        return []
