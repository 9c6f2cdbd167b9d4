"""The public site, by workers that each answer several at a time and are killed without delay."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.sites import in_production

# To end, a worker would wait for browsers that keep their connections.
OPTIONS = ("--preload", "--threads", "4", "--graceful-timeout", "0", "--log-level", "critical")


@contextmanager
def threaded(**environment: str) -> Iterator[str]:
    """Gives its address."""
    with in_production(*OPTIONS, **environment) as host:
        yield f"http://{host}"
