"""Whether functions of a library are still its own: tools that measure it replace some."""

from collections.abc import Iterable
from operator import attrgetter, is_
from typing import Any

CODE = attrgetter("__code__")


def are_same_functions(
    functions: Iterable[Any], known: Iterable[Any], known_code: Iterable[Any]
) -> bool:
    """Whether they are the known functions, with the code that these had.

    By identity, as the wrappers of wrapt equal what they wrap. Some tools leave the function and
    replace its code.
    """
    functions = tuple(functions)
    return all(map(is_, functions, known)) and all(map(is_, map(CODE, functions), known_code))
