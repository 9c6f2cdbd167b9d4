"""The source of running views, as pages show it."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import Any

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

# Decorators that only put a function on a page. Its source is shown without them.
REGISTERING_DECORATORS = {"recipe", "attempt", "question"}

# In Python 3.11, two threads that parse at the same time may get a SystemError: "AST constructor
# recursion depth mismatch".
parser_lock = Lock()


def source_of(*functions: Callable[..., Any]) -> str:
    """Return the functions' source, one below the other, without registering decorators."""
    return "\n\n".join(map(_source_of, functions))


def _source_of(function: Callable[..., Any]) -> str:
    lines, _ = inspect.getsourcelines(function)
    with parser_lock:
        definition = ast.parse(textwrap.dedent("".join(lines))).body[0]
    if not isinstance(definition, ast.FunctionDef):
        raise TypeError(f"{function!r} is not a function with a def of its own.")
    decorators = [line for line in definition.decorator_list if not is_registering(line)]
    first_line = decorators[0].lineno if decorators else definition.lineno
    return "".join(lines[first_line - 1 :])


def is_registering(decorator: ast.expr) -> bool:
    if not isinstance(decorator, ast.Call):
        return False
    return ast.unparse(decorator.func) in REGISTERING_DECORATORS


@cache
def highlighted(source: str) -> str:
    """Return the source as HTML. It is cached: the source of a running view does not change."""
    return highlight(source, PythonLexer(), HtmlFormatter(nowrap=True))
