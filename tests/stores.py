"""Wraps single steps of an engine's store, to fail them or to act before or after them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from cookieproj.engines import cached_row_store
from cookieproj.engines.pending_invalidations import PendingInvalidations
from cookieproj.engines.store import Store

Step = Callable[..., Any]


@contextmanager
def steps_of(engine: Any, **changes: Callable[[Step], Step]) -> Iterator[None]:
    """Replace steps of the store, by name, for sessions of that engine.

    A step that the store calls within another is replaced too. ``insert`` includes the store's own
    ``insert_before_save``.
    """
    make_store = engine.make_store

    def make_changed_store(session: Any) -> Store:
        store: Store = make_store(session)
        for name, change in changes.items():
            setattr(store, name, change(getattr(store, name)))
        if "insert" in changes and "insert_before_save" in vars(type(store)):
            own: Any = store
            own.insert_before_save = changes["insert"](store.insert_before_save)
        return store

    with mock.patch.object(engine, "make_store", make_changed_store):
        yield


def instead(step: Step) -> Callable[[Step], Step]:
    return lambda _original: step


def before(action: Callable[[], object]) -> Callable[[Step], Step]:
    def change(original: Step) -> Step:
        def act_first(*arguments: Any, **options: Any) -> Any:
            action()
            return original(*arguments, **options)

        return act_first

    return change


def after(action: Callable[[], object]) -> Callable[[Step], Step]:
    def change(original: Step) -> Step:
        def act_last(*arguments: Any, **options: Any) -> Any:
            result = original(*arguments, **options)
            action()
            return result

        return act_last

    return change


def forget_pending() -> None:
    """Drop pending invalidations, so that one test does not flush those of another."""
    cached_row_store.pending_invalidations = PendingInvalidations(
        cached_row_store.pending_invalidations.limit
    )
