"""What can go wrong with a session store; each error carries its evidence."""

from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy


class SessionStoreError(Exception):
    """Something that a session store could not do. Its text is a sentence for people."""


class StoreError(SessionStoreError):
    """A store that did not do what it was asked. Raised as one of the four below.

    ``store`` names it (server, database or folder, never a password). The error
    of the driver, where there is one, is the ``__cause__``. Both may be lazy: what a
    page says in its visitor's language, the log says in English.
    """

    # What is wrong, with the store and its own reason in it; and what to do about it.
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
        """A sentence, though drivers end theirs as they like."""
        reason = str(self._reason).strip()
        return reason if reason.endswith((".", "!", "?", "。")) or not reason else f"{reason}."

    def __str__(self) -> str:
        text = str(self.sentence) % {"store": self.store, "reason": self.reason}
        return f"{text} {self.remedy}".strip()


class StoreUnavailableError(StoreError):
    """The store did not answer: the only one of the four where trying again may help."""

    sentence = gettext_lazy("The session store is unavailable: %(store)s. %(reason)s")


class StoreReadOnlyError(StoreError):
    """The store answers and takes no writes, over a new connection neither."""

    sentence = gettext_lazy("The session store is read-only: %(store)s. %(reason)s")
    remedy = gettext_lazy("Connect to the primary, or make this server writable again.")


class StoreFullError(StoreError):
    """The store answers and has no room for what is to be stored."""

    sentence = gettext_lazy("The session store is full: %(store)s. %(reason)s")
    remedy = gettext_lazy(
        "Give it more space, or clear expired sessions with manage.py clearsessions."
    )


class StoreMisconfiguredError(StoreError):
    """The store answers and refuses: a right, a database, a table or a command is missing."""

    sentence = gettext_lazy("The session store is misconfigured: %(store)s. %(reason)s")


class CookieTooLargeError(SessionStoreError):
    """A session that no browser need keep: ``size`` bytes of cookie where ``limit`` are safe."""

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
    """The sessions of this store cannot be listed: ``reason`` is a sentence that says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SessionEndedError(SessionStoreError, UpdateError, SessionInterrupted):
    """The session was ended by another request, before this one could change it.

    Both of Django's: what a save raises, and what a request is answered with 400 for.
    """

    def __str__(self) -> str:
        return _(
            "The session has ended in the meantime, for instance because another request signed "
            "out."
        )


class HeldByClientError(SessionStoreError):
    """The browser holds the session, and this takes a server that does."""

    def __str__(self) -> str:
        return _(
            "This session is kept in a cookie. Two concurrent requests each change their own "
            "copy, and the browser keeps the last response. Keep sessions on the server (db, "
            "cache, file or cached_db), or keep this value in a table."
        )
