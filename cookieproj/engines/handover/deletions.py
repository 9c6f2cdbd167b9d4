"""A row that somebody deletes, in the admin say, ends in the former store too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.sessions.backends.db import SessionStore as DBStore

from cookieproj.engines.clock import is_past
from cookieproj.engines.registry import running
from cookieproj.engines.signals import hear_deletions

from .same_key import FromCachedRows, SameKey

if TYPE_CHECKING:
    from django.contrib.sessions.base_session import AbstractBaseSession


def end_in_former(instance: AbstractBaseSession, **kwargs: Any) -> None:
    """Raises StoreError, and so keeps the row, where neither store can be told of its end.

    An expired row ends nothing: it may be in the way of what is carried over just now.
    """
    session = running().session_class(instance.session_key)
    if not isinstance(session, SameKey | FromCachedRows) or not isinstance(session, DBStore):
        return
    row = vars(instance)
    is_of_its_table = session.model._meta.concrete_model is instance._meta.concrete_model
    if is_of_its_table and not ("expire_date" in row and is_past(row["expire_date"])):
        session._end_in_former(session.decode(row.get("session_data", "")))


hear_deletions(end_in_former)
