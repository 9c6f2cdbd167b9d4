"""A bar on the terminal, where ``tqdm`` is installed."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any


class NoBar:
    """In its place, where there is none: nothing is shown."""

    disable = True
    total: int | None = None

    def update(self, number: int) -> None:
        pass


def progress_bar(**options: Any) -> AbstractContextManager[Any]:
    """For a ``with``. Only a terminal gets to see one; cron gets the last line only."""
    try:
        from tqdm import tqdm  # noqa: PLC0415 - an extra
    except ImportError:
        return nullcontext(NoBar())
    bar: AbstractContextManager[Any] = tqdm(disable=None, leave=False, **options)
    return bar
