"""Whether the sessions of the index are still stored, and their end in the store."""

from collections.abc import Iterable, Sequence

from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import ImproperlyConfigured

from cookieproj.engines.exceptions import NotListableError
from cookieproj.engines.listable import Listable

from . import engine
from .models import SignedInSession
from .refusals import refuse


def end(row: SignedInSession) -> None:
    """Delete what is stored of the session; where its browser holds it, refuse it from now on.

    Raises StoreError if the store does not answer.
    """
    if engine.clients_may_hold() or not row.sealed_key:
        refuse(str(row.pk), row.expires)
    key = row.session_key
    if not key:
        return
    try:
        store = engine.store_of(row.engine)()
    except (ImportError, ImproperlyConfigured):
        # An engine that is gone: it opens no session any more.
        return
    store.delete(key)


def alive(rows: Iterable[SignedInSession]) -> list[SignedInSession]:
    """Of the running engine's, those whose sessions are still stored, as far as it can tell."""
    listed = [(row, row.session_key) for row in rows]
    keys = {key for _row, key in listed} - {""}
    store = engine.store()
    try:
        found = store.alive(keys) if issubclass(store, Listable) else existing(store, keys)
    except NotListableError:
        return [row for row, _key in listed]
    return [row for row, key in listed if key in found or not row.sealed_key]


def existing(store: type[SessionBase], keys: set[str]) -> set[str]:
    """The same on an engine that can only be asked for one at a time."""
    return {key for key in keys if store().exists(key)}


def forget_gone(rows: Sequence[SignedInSession], alive: Sequence[SignedInSession]) -> int:
    """Forget those that are not alive, but for such as have just got another key."""
    gone = set(rows) - set(alive)
    return sum(
        SignedInSession.objects.filter(pk=row.pk, sealed_key=row.sealed_key).forget()
        for row in gone
    )
