"""What was found out by trying the stores, so that a page anybody may open is no load on them."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.core.cache.backends.locmem import LocMemCache

Found = TypeVar("Found")

# Seconds until a store that failed is tried again.
AGAIN_AFTER = 60

memory = LocMemCache("cookieproj.engines.benchmark", {})


def remembered(
    name: str, find_out: Callable[[], Found], is_whole: Callable[[Found], bool]
) -> Found:
    """What was found out under that name: for good if it is whole, else for AGAIN_AFTER seconds."""
    known: Any = memory.get(name)
    if known is None:
        known = find_out()
        memory.set(name, known, None if is_whole(known) else AGAIN_AFTER)
    found: Found = known
    return found
