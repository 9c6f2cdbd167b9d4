"""Each error of a store says what to do."""

from collections.abc import Iterator
from typing import Any

import pytest

from cookieproj.engines import mongodb_errors, session_files, sql_errors
from cookieproj.engines.caches import redis_errors
from cookieproj.engines.exceptions import StoreError


def meanings() -> Iterator[tuple[type[StoreError], Any]]:
    for codes in sql_errors.CODES.values():
        yield from codes.values()
    for texts in sql_errors.MESSAGES.values():
        yield from texts.values()
    yield sql_errors.UNAVAILABLE
    yield from mongodb_errors.CODES.values()
    yield mongodb_errors.UNAVAILABLE
    yield from (meaning[1:] for meaning in redis_errors.MEANINGS)
    yield from session_files.MEANINGS.values()
    yield session_files.DISK_FAILED


@pytest.mark.parametrize(("error_class", "remedy"), list(meanings()))
def test_meaning_has_a_remedy(error_class: type[StoreError], remedy: Any) -> None:
    error = error_class("The store", "It failed", remedy)
    assert str(error.remedy).endswith(".")
    assert str(error).endswith(f"It failed. {error.remedy}")
