"""The store of an engine, paused or made to fail at a step of its own."""

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
    """Each step of that name is what is made here of the store's own, for sessions of that class.

    A step that the store makes as a part of another is one too, and an insert that a save follows,
    where the store has a way of its own for that, is an insert.
    """
    really = engine.make_store

    def own_store(session: Any) -> Store:
        store: Store = really(session)
        for name, change in changes.items():
            setattr(store, name, change(getattr(store, name)))
        if "insert" in changes and "insert_before_save" in vars(type(store)):
            own: Any = store
            own.insert_before_save = changes["insert"](store.insert_before_save)
        return store

    with mock.patch.object(engine, "make_store", own_store):
        yield


def instead(step: Step) -> Callable[[Step], Step]:
    return lambda _really: step


def before(action: Callable[[], object]) -> Callable[[Step], Step]:
    def change(really: Step) -> Step:
        def stepped(*arguments: Any, **options: Any) -> Any:
            action()
            return really(*arguments, **options)

        return stepped

    return change


def after(action: Callable[[], object]) -> Callable[[Step], Step]:
    def change(really: Step) -> Step:
        def stepped(*arguments: Any, **options: Any) -> Any:
            result = really(*arguments, **options)
            action()
            return result

        return stepped

    return change


def forget_pending() -> None:
    """What a cache that was unreachable in one test is owed must not be paid in another."""
    cached_row_store.pending_invalidations = PendingInvalidations(
        cached_row_store.pending_invalidations.limit
    )
