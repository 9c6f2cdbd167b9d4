"""The request that is being answered, for a signal that does not say by which it was sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest

current: ContextVar[HttpRequest | None] = ContextVar("cookieproj.devices.request", default=None)


@contextmanager
def answering(request: HttpRequest) -> Iterator[None]:
    token = current.set(request)
    try:
        yield
    finally:
        current.reset(token)
