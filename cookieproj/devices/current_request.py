"""The current request, for receivers of signals that are sent without one."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest

current_request: ContextVar[HttpRequest | None] = ContextVar(
    "cookieproj.devices.request", default=None
)


@contextmanager
def as_current_request(request: HttpRequest) -> Iterator[None]:
    """Make it the current request of this thread or task while the block runs."""
    token = current_request.set(request)
    try:
        yield
    finally:
        current_request.reset(token)
