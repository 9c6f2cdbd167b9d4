"""When the signals of this app are sent: once what they say cannot be undone any more.

A session that has begun, or has ended by its user's hash, is told when the transaction commits:
one that is rolled back has changed nothing. So is the end of a session that is stored, or
refused, in a database. Any other store has ended it at once, whatever becomes of a transaction.

A receiver that raises is logged by Django, and keeps nobody from signing in or out.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router, transaction
from django.http import HttpRequest

from cookieproj.engines import running_engine

from . import signals
from .models import SignedInSession


def announce_start(request: HttpRequest, session: SignedInSession) -> None:
    send = partial(
        signals.session_started.send_robust,
        sender=SignedInSession,
        request=request,
        session=session,
    )
    on_commit(send, router.db_for_write(SignedInSession))


def announce_end(session: SignedInSession, reason: str, *, using: str | None = None) -> None:
    """``using`` is the database by which it has ended; if not given, that of its store."""
    # Its row may be deleted next, and lose its id by that.
    send = partial(
        signals.session_ended.send_robust,
        sender=SignedInSession,
        session=copy.copy(session),
        reason=reason,
    )
    on_commit(send, using or database_of(session))


def on_commit(send: Callable[[], object], using: str | None) -> None:
    """At once where there is no transaction that Django knows the end of."""
    if using is not None and connections[using].in_atomic_block:
        transaction.on_commit(send, using=using)
    else:
        send()


def database_of(session: SignedInSession) -> str | None:
    """The database in which the session ends; None for a store that knows no transactions."""
    if not session.sealed_key:
        # Its browser holds it, and a row refuses it.
        return router.db_for_write(SignedInSession)
    try:
        store: Any = running_engine.store_of(session.engine)
    except (ImportError, AttributeError, ImproperlyConfigured):
        return None
    is_in_database = issubclass(store, DatabaseStore)
    return router.db_for_write(store.get_model_class()) if is_in_database else None
