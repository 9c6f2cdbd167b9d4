"""The public site on workers with several threads, which are stopped without delay."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.sites import in_production

# A worker would wait for browsers that keep their connections open.
OPTIONS = ("--preload", "--threads", "4", "--graceful-timeout", "0", "--log-level", "critical")


@contextmanager
def threaded(**environment: str) -> Iterator[str]:
    """Yields its URL."""
    with in_production(*OPTIONS, **environment) as host:
        yield f"http://{host}"
