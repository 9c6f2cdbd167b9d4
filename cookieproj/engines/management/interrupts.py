"""How Ctrl-C and SIGTERM end a command."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Any

# What a shell calls a program that was ended by Ctrl-C.
INTERRUPTED = 130


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """By SIGTERM too, which else leaves everything where it is."""
    with signal_handler(signal.default_int_handler):
        yield


@contextmanager
def stop_between_steps() -> Iterator[Callable[[], None]]:
    """Both wait for the end of a step, so that all it did is counted; a second one does not.

    Gives what to call after each step: it raises KeyboardInterrupt if there was one.
    """
    is_asked = False

    def ask(*_signal: Any) -> None:
        nonlocal is_asked
        if is_asked:
            raise KeyboardInterrupt
        is_asked = True

    def stop_if_asked() -> None:
        if is_asked:
            raise KeyboardInterrupt

    with signal_handler(ask):
        yield stop_if_asked


@contextmanager
def signal_handler(handler: Callable[..., Any]) -> Iterator[None]:
    """In the main thread, which alone gets signals, and may say who handles them."""
    if current_thread() is not main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
