from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from tests.replicas import read_from, sqlite

# Of the profiles these are to the index as others are, which run.
ALIKE = {"file", "cached_db"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def is_alike(item: pytest.Item) -> bool:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        return item.path.parent == HERE and parameters.get("profile") in ALIKE

    config.hook.pytest_deselected(items=[item for item in items if is_alike(item)])
    items[:] = [item for item in items if not is_alike(item)]


HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def replicated(on_file: Path, settings: Settings) -> Iterator[None]:
    """What is written is read over another connection, which is read-only."""
    with read_from(settings, **sqlite(on_file, read_only=True)):
        yield
