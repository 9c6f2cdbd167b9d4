"""Parses the URLs of stores: DATABASE_URL, CACHE_URL and SESSION_HANDOVER_CACHE."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

# The message repeats nothing of the URL, which may contain a password.
UNREADABLE = (
    'it cannot be read as a URL; in a user name or password "/" is written "%2F", "?" "%3F", '
    '"#" "%23", "@" "%40", "[" "%5B"'
)

# The options that a URL may have, each with the function that converts its text.
Converters = dict[str, Callable[[str], Any]]


@dataclass(frozen=True)
class StoreURL:
    """The parts of ``scheme://credentials@host,host/path?options``, still percent-encoded.

    Only the options are decoded.
    """

    scheme: str
    credentials: str = ""
    hosts: str = ""
    path: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    def convert_options(self, known: Converters) -> dict[str, Any]:
        """Return the options of this URL, converted.

        Raises ValueError for an option that is not in ``known``: an option that is ignored would
        look as if it took effect.
        """
        for name in self.options.keys() - known.keys():
            close = get_close_matches(name, known, n=1)
            raise ValueError(f"unknown option {name}{f', is it {close[0]}?' if close else ''}")
        return {name: _convert(name, text, known[name]) for name, text in self.options.items()}


def parse_url(url: str) -> StoreURL:
    """Split the URL into its parts. Raises ValueError, without any secret, if that is ambiguous."""
    try:
        parts = split_url(url)
    except ValueError:
        raise ValueError(UNREADABLE) from None
    if parts.fragment or "@" in f"{parts.path}{parts.query}":
        raise ValueError(UNREADABLE)
    credentials, _, hosts = parts.netloc.rpartition("@")
    return StoreURL(parts.scheme, credentials, hosts, parts.path, parse_options(parts.query))


def split_url(url: str) -> SplitResult:
    """Do as ``urlsplit``, also with several hosts of which one is an IPv6 address.

    Since CVE-2025-0938 Python takes brackets around a single host only. Raises ValueError.
    """
    scheme, _separator, rest = url.partition("://")
    authority, *_others = re.split("[/?#]", rest, maxsplit=1)
    credentials, at, hosts = authority.rpartition("@")
    if "," not in hosts or "[" in credentials:
        return urlsplit(url)
    for host in hosts.split(","):
        urlsplit(f"//{host}")
    one_host = urlsplit(f"{scheme}://{credentials}{at}host{rest.removeprefix(authority)}")
    return one_host._replace(netloc=authority)


def parse_options(query: str) -> dict[str, str]:
    """Raises ValueError for text that is not ``name=value``, and for an option that is repeated."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ValueError('options are written name=value, with "&" between them') from None
    options = dict(pairs)
    if len(options) < len(pairs):
        raise ValueError("an option stands there twice")
    return options


def host_and_port(text: str) -> tuple[str, int | None]:
    """Return the host, and the port or None. Raises ValueError now, not in the first request."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("it names no host")
    try:
        port = parts.port
    except ValueError:
        # The message must not repeat the text: if "@host" was forgotten, it is a password.
        port = 0
    if port == 0:
        raise ValueError("its port is no number from 1 to 65535")
    return parts.hostname, port


def _convert(name: str, text: str, convert: Callable[[str], Any]) -> Any:
    try:
        return convert(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
