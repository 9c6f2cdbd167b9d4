"""Sends ``session_started`` and ``session_ended`` once nothing can undo what they report.

The start of a session, and an end by its hash, are announced when the transaction commits: after a
rollback nothing has happened. So is the end of a session that is stored or refused in a database.
Any other store deletes a session at once, and no rollback restores it.

Django logs the error of a receiver that raises, which therefore stops no sign-in and no sign-out.
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
    """Send ``session_ended`` when the session's end is committed.

    ``using`` is the database whose transaction ends the session. By default it is the database of
    the session's store, if that is one.
    """
    # A copy, because the row may be deleted next, which removes the id from the instance.
    send = partial(
        signals.session_ended.send_robust,
        sender=SignedInSession,
        session=copy.copy(session),
        reason=reason,
    )
    on_commit(send, using or database_of(session))


def on_commit(send: Callable[[], object], using: str | None) -> None:
    """Send when the transaction commits, or at once if Django knows of no transaction."""
    if using is not None and connections[using].in_atomic_block:
        transaction.on_commit(send, using=using)
    else:
        send()


def database_of(session: SignedInSession) -> str | None:
    """Return the database in which the session ends; None if its store has no transactions."""
    if not session.sealed_key:
        # The browser has the session, and a row refuses it.
        return router.db_for_write(SignedInSession)
    try:
        store: Any = running_engine.store_of(session.engine)
    except (ImportError, AttributeError, ImproperlyConfigured):
        return None
    is_in_database = issubclass(store, DatabaseStore)
    return router.db_for_write(store.get_model_class()) if is_in_database else None
