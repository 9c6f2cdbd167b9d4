"""A row that somebody deletes, in the admin say, ends in the former store too."""

from typing import Any

from django.contrib.sessions.backends.db import SessionStore as DBStore

from cookieproj.engines.clock import is_past
from cookieproj.engines.engine_registry import current_engine
from cookieproj.engines.handover_mixin import class_and_composer
from cookieproj.engines.row_deletions import on_row_deleted

from .migrating_store import MigratingStore, RowsBesideCopies


def delete_from_previous(instance: Any, **kwargs: Any) -> None:
    """Raises StoreError, and so keeps the row, where neither store can be told of its end.

    An expired row ends nothing: it may be in the way of what is carried over just now.
    """
    engine = current_engine().session_class
    _class, compose = class_and_composer(engine)
    if compose is None or not issubclass(engine, DBStore):
        return
    session: Any = engine()
    row = vars(instance)
    is_of_its_table = session.model._meta.concrete_model is instance._meta.concrete_model
    if not is_of_its_table or ("expire_date" in row and is_past(row["expire_date"])):
        return
    store = compose(session.make_store())
    if isinstance(store, MigratingStore):
        data = session.decode(row.get("session_data", ""))
        store.mover.end_in_old(instance.session_key, data)
    elif isinstance(store, RowsBesideCopies):
        store.invalidate(instance.session_key)


on_row_deleted(delete_from_previous)
