"""The one reader of the URLs in which the environment names a store."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any
from urllib.parse import parse_qsl, urlsplit

# It may hold a password, so nothing of it is repeated.
UNREADABLE = (
    'it cannot be read as a URL; in a user name or password "/" is written "%2F", "?" "%3F", '
    '"#" "%23", "@" "%40", "[" "%5B"'
)

# The options of a URL, and what makes each of its text.
Known = dict[str, Callable[[str], Any]]


@dataclass(frozen=True)
class StoreURL:
    """``scheme://credentials@host,host/path?options``, taken apart and not yet decoded."""

    scheme: str
    credentials: str = ""
    hosts: str = ""
    path: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    def choose(self, known: Known) -> dict[str, Any]:
        """The options that it has, each as what ``known`` makes of its text.

        Raises ValueError for any other, since one that is dropped looks as if it were heeded.
        """
        for name in self.options.keys() - known.keys():
            close = get_close_matches(name, known, n=1)
            raise ValueError(f"unknown option {name}{f', is it {close[0]}?' if close else ''}")
        return {name: _converted(name, text, known[name]) for name, text in self.options.items()}


def read(url: str) -> StoreURL:
    """Raises ValueError, which repeats nothing secret, for what cannot be told apart."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(UNREADABLE) from None
    if parts.fragment or "@" in f"{parts.path}{parts.query}":
        raise ValueError(UNREADABLE)
    credentials, _, hosts = parts.netloc.rpartition("@")
    return StoreURL(parts.scheme, credentials, hosts, parts.path, options_in(parts.query))


def options_in(query: str) -> dict[str, str]:
    """Raises ValueError for what is no option, and for one that is there twice."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ValueError('options are written name=value, with "&" between them') from None
    options = dict(pairs)
    if len(options) < len(pairs):
        raise ValueError("an option stands there twice")
    return options


def address(text: str) -> tuple[str, int | None]:
    """Host and port, if one is named. Raises ValueError now, not in the first request."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("it names no host")
    try:
        port = parts.port
    except ValueError:
        # Not repeated: after a forgotten "@host" it is a password.
        port = 0
    if port == 0:
        raise ValueError("its port is no number from 1 to 65535")
    return parts.hostname, port


def _converted(name: str, text: str, convert: Callable[[str], Any]) -> Any:
    try:
        return convert(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
