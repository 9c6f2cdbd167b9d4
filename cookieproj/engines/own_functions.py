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
    """The functions of a package, except those that something had replaced before this."""

    def __init__(self, package: ModuleType, functions: Iterable[Any]) -> None:
        self._functions = [each if is_defined_in(package, each) else None for each in functions]
        self._code = [each and each.__code__ for each in self._functions]

    def are(self, functions: Iterable[Any]) -> bool:
        """Whether these are the package's own, each with the code that it had.

        By identity, as the wrappers of wrapt equal what they wrap. Some tools leave the function
        and replace its code.
        """
        functions = tuple(functions)
        return all(map(is_, functions, self._functions)) and all(
            map(is_, map(CODE, functions), self._code)
        )


def is_defined_in(package: ModuleType, function: Any) -> bool:
    """Whether the package defines the function, so that nobody has replaced or decorated it."""
    if type(function) is not FunctionType:
        return False
    return function.__code__.co_filename.startswith(folder_of(package))


@cache
def folder_of(package: ModuleType) -> str:
    """Return the package's folder, with the separator at its end."""
    return f"{Path(package.__file__ or '').parent}{os.sep}"
