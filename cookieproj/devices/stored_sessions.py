"""Whether the sessions of the registry are still stored, and their end in the store."""

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
    """A stored session that cannot be ended now: ``reason`` is a sentence that says why.

    Its user is signed out as long as that is so, and would be in again afterwards. ``remedy``
    says what to do.
    """

    def __init__(self, reason: str | Promise, remedy: str | Promise) -> None:
        super().__init__(reason, remedy)
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.reason} {self.remedy}"


def delete_stored_session(row: SignedInSession) -> None:
    """Delete what is stored of the session; where its browser holds it, refuse it from now on.

    Raises NotEndedError, or StoreError if the store does not answer.
    """
    if running_engine.browsers_may_hold() or not row.sealed_key:
        refuse(str(row.pk), row.expires)
    if row.sealed_key:
        store, key = open_stored_session(row)
        store.delete(key)


def open_stored_session(row: SignedInSession) -> tuple[SessionBase, str]:
    """The store of the session, and its key there. Raises NotEndedError if either is out of reach.

    For a row that has a key.
    """
    try:
        key = row.opened_key()
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
    """In the log: what is stored of sessions that have ended could not be deleted."""
    logger.warning("Sessions that have ended stay stored until they expire. %s", in_english(reason))


def rows_with_session(rows: Iterable[SignedInSession]) -> list[SignedInSession]:
    """Of the running engine's, those whose sessions are still stored, as far as it can tell."""
    listed = [(row, row.session_key) for row in rows]
    keys = {key for _row, key in listed} - {""}
    store = running_engine.store()
    try:
        found = store.alive(keys) if issubclass(store, ListingMixin) else existing_keys(store, keys)
    except NotListableError:
        return [row for row, _key in listed]
    return [row for row, key in listed if key in found or not row.sealed_key]


def existing_keys(store: type[SessionBase], keys: set[str]) -> set[str]:
    """The same on an engine that can only be asked for one at a time."""
    return {key for key in keys if store().exists(key)}


def forget_rows_without_session(
    rows: Sequence[SignedInSession], alive: Sequence[SignedInSession]
) -> int:
    """Forget those that are not alive, but for such as have just got another key."""
    gone = set(rows) - set(alive)
    return sum(
        SignedInSession.objects.filter(pk=row.pk, sealed_key=row.sealed_key).forget()
        for row in gone
    )
