"""Whether functions of a library are still its own: tools that measure it replace some."""

import os
from collections.abc import Iterable
from functools import cache
from operator import attrgetter, is_
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

CODE = attrgetter("__code__")


class OwnFunctions:
    """Functions of a library, except those that something had replaced before this.

    ``sources`` are the packages and modules in which they are defined.
    """

    def __init__(self, functions: Iterable[Any], *sources: ModuleType) -> None:
        self._functions = [each if is_defined_in(sources, each) else None for each in functions]
        self._code = [each and each.__code__ for each in self._functions]

    def are(self, functions: Iterable[Any]) -> bool:
        """Whether these are the library's own, each with the code that it had.

        By identity, as the wrappers of wrapt equal what they wrap. Some tools leave the function
        and replace its code.
        """
        functions = tuple(functions)
        return all(map(is_, functions, self._functions)) and all(
            map(is_, map(CODE, functions), self._code)
        )


def is_defined_in(sources: tuple[ModuleType, ...], function: Any) -> bool:
    """Whether one of them defines the function, so that nobody has replaced or decorated it."""
    if type(function) is not FunctionType:
        return False
    return function.__code__.co_filename.startswith(tuple(map(path_of, sources)))


@cache
def path_of(module: ModuleType) -> str:
    """Return the module's file; the folder of a package, with the separator at its end."""
    path = Path(module.__file__ or "")
    return f"{path.parent}{os.sep}" if path.name == "__init__.py" else str(path)
