from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from tests.replicas import read_from, sqlite


@pytest.fixture(autouse=True)
def replicated(database_file: Path, settings: Settings) -> Iterator[None]:
    """Read over another connection, which is read-only."""
    with read_from(settings, **sqlite(database_file, read_only=True)):
        yield
