"""A session row that is deleted, in the admin for example, ends in the old store too."""

from typing import Any

from django.contrib.sessions.backends.db import SessionStore as DBStore

from cookieproj.engines.clock import is_past
from cookieproj.engines.engine_registry import current_engine
from cookieproj.engines.handover_mixin import class_and_composer
from cookieproj.engines.row_deletions import on_row_deleted

from .migrating_store import MigratingStore
from .shared_rows import DbAfterCachedDb


def delete_from_previous(instance: Any, **kwargs: Any) -> None:
    """End the session of a deleted row in the store that the site hands over from.

    An expired row ends nothing: it may be deleted to make room for the session that is being
    moved. Raises StoreError, which keeps the row, if the end can be written to neither store.
    """
    engine = current_engine().session_class
    _class, compose = class_and_composer(engine)
    if compose is None or not issubclass(engine, DBStore):
        return
    session: Any = engine()
    row = vars(instance)
    is_session_row = session.model._meta.concrete_model is instance._meta.concrete_model
    if not is_session_row or ("expire_date" in row and is_past(row["expire_date"])):
        return
    store = compose(session.make_store())
    if isinstance(store, MigratingStore):
        data = session.decode(row.get("session_data", ""))
        store.mover.end_in_old(instance.session_key, data)
    elif isinstance(store, DbAfterCachedDb):
        store.invalidate(instance.session_key)


on_row_deleted(delete_from_previous)
