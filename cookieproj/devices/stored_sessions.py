"""Deletes the stored sessions of rows in the registry, and finds rows without one."""

import logging
from collections.abc import Iterable, Sequence

from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from cookieproj.engines import encryption, running_engine
from cookieproj.engines.english import in_english
from cookieproj.engines.exceptions import NotListableError, SessionStoreError
from cookieproj.engines.listing import ListingMixin

from .models import SignedInSession
from .refused_sessions import refuse

logger = logging.getLogger("django.contrib.sessions")


class NotEndedError(SessionStoreError):
    """A stored session cannot be ended now. ``reason`` says why, and ``remedy`` what to do.

    Each is a sentence. The session is signed out while the reason lasts, and would be signed in
    again afterwards.
    """

    def __init__(self, reason: str | Promise, remedy: str | Promise) -> None:
        super().__init__(reason, remedy)
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.reason} {self.remedy}"


def delete_stored_session(row: SignedInSession) -> None:
    """Delete the stored session, and refuse it from now on if its browser may have it.

    Raises NotEndedError, or StoreError if the store does not answer.
    """
    if running_engine.browsers_may_hold() or not row.sealed_key:
        refuse(str(row.pk), row.expires)
    if row.sealed_key:
        store, key = open_stored_session(row)
        store.delete(key)


def open_stored_session(row: SignedInSession) -> tuple[SessionBase, str]:
    """Return a session of the row's engine, and the session key; the row must have one.

    Raises NotEndedError if the engine cannot be imported or the key not decrypted.
    """
    try:
        key = row.decrypt_key()
    except encryption.DecryptionError:
        raise NotEndedError(
            _("A session key encrypted with a SECRET_KEY that is no longer set cannot be read."),
            _(
                "Add that SECRET_KEY to SECRET_KEY_FALLBACKS and try again, or sign the user out "
                "everywhere."
            ),
        ) from None
    try:
        return running_engine.store_of(row.engine)(), key
    except (ImportError, AttributeError, ImproperlyConfigured):
        raise NotEndedError(
            _("A session of an engine that cannot be imported cannot be deleted."),
            _("Install the engine again and try again, or sign the user out everywhere."),
        ) from None


def log_left_in_store(reason: object) -> None:
    """Log that sessions have ended, but could not be deleted from the store."""
    logger.warning("Sessions that have ended stay stored until they expire. %s", in_english(reason))


def rows_with_session(rows: Iterable[SignedInSession]) -> list[SignedInSession]:
    """Return the rows whose sessions are still stored; all of the rows if the store cannot tell.

    The rows are those of the running engine. A row of a session in a cookie is always returned.
    """
    rows_and_keys = [(row, row.session_key) for row in rows]
    keys = {key for _row, key in rows_and_keys} - {""}
    store = running_engine.store()
    try:
        live_keys = (
            store.alive(keys) if issubclass(store, ListingMixin) else existing_keys(store, keys)
        )
    except NotListableError:
        return [row for row, _key in rows_and_keys]
    return [row for row, key in rows_and_keys if key in live_keys or not row.sealed_key]


def existing_keys(store: type[SessionBase], keys: set[str]) -> set[str]:
    """Return those of the keys that the store has, with one call of it for each."""
    return {key for key in keys if store().exists(key)}


def forget_rows_without_session(
    rows: Sequence[SignedInSession], alive: Sequence[SignedInSession]
) -> int:
    """Delete the rows that are not among ``alive``, and return their number.

    A row that has got another session key since it was read is kept.
    """
    return sum(
        SignedInSession.objects.filter(pk=row.pk, sealed_key=row.sealed_key).forget()
        for row in set(rows) - set(alive)
    )
