from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from tests.replicas import read_from, sqlite


@pytest.fixture(autouse=True)
def replicated(on_file: Path, settings: Settings) -> Iterator[None]:
    """What is written is read over another connection, which is read-only."""
    with read_from(settings, **sqlite(on_file, read_only=True)):
        yield
