"""Converts the text of an environment variable, or of an option in a URL, to a value.

Each function raises ValueError with a message that says what it accepts.
"""

from collections.abc import Callable
from pathlib import Path

ON = ("true", "on", "ok", "y", "yes", "1")
OFF = ("false", "off", "n", "no", "0")


def switch(text: str) -> bool:
    word = text.strip().lower()
    if word not in (*ON, *OFF):
        raise ValueError(f"{text!r} is neither on nor off")
    return word in ON


def number(text: str) -> int:
    # ``isdecimal`` alone accepts the digits of every script.
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"it takes a whole number, not {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """Return a positive number of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise ValueError(f"it takes a number of seconds, not {text!r}")
    return value


def file(text: str) -> str:
    """Return the path of a file that exists. A missing one would fail at the first connection."""
    if not Path(text).is_file():
        raise ValueError(f"there is no file {text!r}")
    return text


def folder(text: str) -> str:
    if not Path(text).is_dir():
        raise ValueError(f"there is no folder {text!r}")
    return text


def one_of(*words: str) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if text not in words:
            raise ValueError(f"it takes {', '.join(words[:-1])} or {words[-1]}, not {text!r}")
        return text

    return convert
