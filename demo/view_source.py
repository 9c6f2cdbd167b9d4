"""The source of what runs, as pages show it."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import cache
from typing import Any

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

# Decorators that put a function on a page, which is not what the function is about.
REGISTERS = {"recipe", "attempt"}


def source_of(*functions: Callable[..., Any]) -> str:
    """Theirs, one below the other, less the lines that put them on a page."""
    return "\n\n".join(map(_source_of, functions))


def _source_of(function: Callable[..., Any]) -> str:
    lines, _ = inspect.getsourcelines(function)
    parsed = ast.parse(textwrap.dedent("".join(lines))).body[0]
    if not isinstance(parsed, ast.FunctionDef):
        raise TypeError(f"{function!r} is not a function with a def of its own.")
    shown = [line for line in parsed.decorator_list if not registers(line)]
    first = shown[0].lineno if shown else parsed.lineno
    return "".join(lines[first - 1 :])


def registers(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and ast.unparse(decorator.func) in REGISTERS


@cache
def coloured(source: str) -> str:
    """As HTML, made once: what runs does not change while it runs."""
    return highlight(source, PythonLexer(), HtmlFormatter(nowrap=True))
