"""A progress bar on the terminal, if ``tqdm`` is installed."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any


class NoBar:
    """Replaces the bar of ``tqdm`` and shows nothing."""

    disable = True
    total: int | None = None

    def update(self, number: int) -> None:
        pass


def progress_bar(**options: Any) -> AbstractContextManager[Any]:
    """Return a bar to use in a ``with``. It is shown on a terminal only, not to cron."""
    try:
        from tqdm import tqdm  # noqa: PLC0415 - an extra
    except ImportError:
        return nullcontext(NoBar())
    bar: AbstractContextManager[Any] = tqdm(disable=None, leave=False, **options)
    return bar
