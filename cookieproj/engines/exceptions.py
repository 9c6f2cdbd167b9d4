"""The errors of session stores. Each has its details as attributes."""

from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

# The remedy for what passes by itself: a conflict with another request, a change of primaries.
TRY_AGAIN = gettext_lazy("Try again in a moment.")


class SessionStoreError(Exception):
    """An error of a session store. Its text is a sentence for people."""


class StoreError(SessionStoreError):
    """A store did not do what it was asked to. Raised as one of its four subclasses.

    ``store`` is the name of the server, database or folder, without a password. The driver's error,
    if there is one, is the ``__cause__``. Texts may be lazy: a page shows them in the visitor's
    language, the log in English.
    """

    # A sentence about the failure, with the store and the reason in it, and a sentence about the
    # remedy.
    sentence: str | Promise = ""
    remedy: str | Promise = ""

    def __init__(
        self, store: str | Promise, reason: object, remedy: str | Promise | None = None
    ) -> None:
        super().__init__(store, reason)
        self.store = store
        self._reason = reason
        if remedy is not None:
            self.remedy = remedy

    @property
    def reason(self) -> str:
        """The reason as a sentence, as drivers punctuate theirs in different ways."""
        reason = str(self._reason).strip()
        return reason if reason.endswith((".", "!", "?", "。")) or not reason else f"{reason}."

    def __str__(self) -> str:
        text = str(self.sentence) % {"store": self.store, "reason": self.reason}
        return f"{text} {self.remedy}".strip()


class StoreUnavailableError(StoreError):
    """The store did not answer. Only of this error a retry may help."""

    sentence = gettext_lazy("The session store is unavailable: %(store)s. %(reason)s")
    remedy = gettext_lazy(
        "Check that it is running, and that its address in the settings is right."
    )


class StoreReadOnlyError(StoreError):
    """The store answers but takes no writes, not even over a new connection."""

    sentence = gettext_lazy("The session store is read-only: %(store)s. %(reason)s")
    remedy = gettext_lazy("Connect to the primary, or make this server writable again.")


class StoreFullError(StoreError):
    """The store answers but has no room for the data."""

    sentence = gettext_lazy("The session store is full: %(store)s. %(reason)s")
    remedy = gettext_lazy(
        "Give it more space, or clear expired sessions with manage.py clearsessions."
    )


class StoreMisconfiguredError(StoreError):
    """The store answers but refuses: a permission, database, table or command is missing."""

    sentence = gettext_lazy("The session store is misconfigured: %(store)s. %(reason)s")


class CookieTooLargeError(SessionStoreError):
    """The session's cookie is too large for browsers: it has ``size`` bytes, ``limit`` is safe."""

    def __init__(self, name: str, size: int, limit: int) -> None:
        super().__init__(name, size, limit)
        self.name = name
        self.size = size
        self.limit = limit

    def __str__(self) -> str:
        return _(
            "The cookie %(name)s takes %(size)d bytes with its name and attributes; beyond "
            "%(limit)d a browser may drop it without a word. Keep less in the session, or "
            "keep it on the server."
        ) % vars(self)


class NotListableError(SessionStoreError):
    """The sessions of this store cannot be listed. ``reason`` is a sentence that says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SessionEndedError(SessionStoreError, UpdateError, SessionInterrupted):
    """Another request ended the session before this one could change it.

    It is both of Django's errors: the one that a save raises, and the one that is a response of
    400.
    """

    def __str__(self) -> str:
        return _(
            "The session has ended in the meantime, for instance because another request signed "
            "out."
        )


class HeldByClientError(SessionStoreError):
    """The browser keeps the session, and the operation needs a session on the server."""

    def __str__(self) -> str:
        return _(
            "This session is kept in a cookie. Two concurrent requests each change their own "
            "copy, and the browser keeps the last response. Keep sessions on the server (db, "
            "cache, file or cached_db), or keep this value in a table."
        )
