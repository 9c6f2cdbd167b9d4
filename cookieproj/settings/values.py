"""What a text may mean: in the environment and in the options of a URL, the same.

Each raises ValueError, which says what is taken instead.
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
    # Not isdecimal alone, which takes the digits of every script.
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"it takes a whole number, not {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """More than none, with decimals or without."""
    try:
        found = float(text)
    except ValueError:
        found = 0
    if not 0 < found < float("inf"):
        raise ValueError(f"it takes a number of seconds, not {text!r}")
    return found


def file(text: str) -> str:
    """A file that is there now: looked for by the first connection, it would be a late error."""
    if not Path(text).is_file():
        raise ValueError(f"there is no file {text!r}")
    return text


def folder(text: str) -> str:
    if not Path(text).is_dir():
        raise ValueError(f"there is no folder {text!r}")
    return text


def one_of(*words: str) -> Callable[[str], str]:
    def chosen(text: str) -> str:
        if text not in words:
            raise ValueError(f"it takes {', '.join(words[:-1])} or {words[-1]}, not {text!r}")
        return text

    return chosen
