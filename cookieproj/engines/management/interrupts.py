"""Ends a command on Ctrl-C and SIGTERM."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Any

# The exit status that a shell reports for a program ended by Ctrl-C.
INTERRUPTED = 130


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM too, which would end the process without any clean-up."""
    with signal_handler(signal.default_int_handler):
        yield


@contextmanager
def stop_between_steps() -> Iterator[Callable[[], None]]:
    """Delay both signals to the end of a step, so that all its work is counted.

    Yields a function to call after each step, which raises KeyboardInterrupt if a signal came. A
    second signal raises it at once.
    """
    is_requested = False

    def request_stop(*_signal: Any) -> None:
        nonlocal is_requested
        if is_requested:
            raise KeyboardInterrupt
        is_requested = True

    def stop_if_requested() -> None:
        if is_requested:
            raise KeyboardInterrupt

    with signal_handler(request_stop):
        yield stop_if_requested


@contextmanager
def signal_handler(handler: Callable[..., Any]) -> Iterator[None]:
    """Handle both signals with ``handler``; in other threads than the main one do nothing.

    Only the main thread receives signals, and only it may set a handler.
    """
    if current_thread() is not main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous_handlers = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous_handler in previous_handlers.items():
            signal.signal(number, previous_handler)
