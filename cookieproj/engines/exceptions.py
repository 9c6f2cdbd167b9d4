"""What can go wrong with a session store; each error carries its evidence."""

from django.utils.functional import Promise
from django.utils.translation import gettext as _


class SessionStoreError(Exception):
    """Something that a session store could not do. Its text is a sentence for people."""


class StoreUnavailableError(SessionStoreError):
    """The store did not answer, or did not take what it was given.

    ``store`` names it (server, database or folder, never a password). The error
    of the driver, where there is one, is the ``__cause__``. Both may be lazy: what a
    page says in its visitor's language, the log says in English.
    """

    def __init__(self, store: str | Promise, reason: object) -> None:
        super().__init__(store, reason)
        self.store = store
        self._reason = reason

    @property
    def reason(self) -> str:
        return str(self._reason).strip()

    def __str__(self) -> str:
        return _("The session store is unavailable: %(store)s. %(reason)s") % {
            "store": self.store,
            "reason": self.reason,
        }


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

    def __str__(self) -> str:
        return self.reason
