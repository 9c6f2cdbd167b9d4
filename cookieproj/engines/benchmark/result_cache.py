"""Results of trying the stores, kept so that a page that anybody may open is no load on them."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.core.cache.backends.locmem import LocMemCache

Result = TypeVar("Result")

# Seconds until a store that failed is tried again.
RETRY_SECONDS = 60

memory = LocMemCache("cookieproj.engines.benchmark", {})


def cached_result(
    name: str, compute: Callable[[], Result], is_final: Callable[[Result], bool]
) -> Result:
    """Return the result of that name from this process's memory, or compute it.

    A result that is not final is computed again after RETRY_SECONDS.
    """
    cached: Any = memory.get(name)
    if cached is None:
        cached = compute()
        memory.set(name, cached, None if is_final(cached) else RETRY_SECONDS)
    result: Result = cached
    return result
