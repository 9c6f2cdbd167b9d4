"""The interface of a store, the place where an engine keeps sessions; see docs/stores.md."""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.functional import Promise
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from .english import in_english
from .entries import Entry, ListedSession, Location, Page
from .exceptions import NotListableError
from .merge import Data, same_data
from .validation import decode_valid


class Store:
    """A place where sessions are stored: a table, a folder, a cache.

    A store knows keys, data and expiries. It is stateless: a method depends on its arguments alone.
    ``old`` is always an entry that this store returned for that key. ``expires`` is the moment from
    which the session opens nothing; it is naive only if USE_TZ is off.

    Each of the first six methods after ``label`` is one atomic round trip: if two callers change
    one entry at the same moment, one succeeds, and the other gets None or False. All raise
    StoreError if the store fails, and what the serializer raises for data that it cannot store.
    """

    # Whether the store compares and changes an entry in one step.
    compares_and_swaps = True

    @property
    def id(self) -> str:
        """The name by which the copies and cookies of a handover know the store for weeks.

        The setting SESSION_STORE_IDS maps a store's ``label`` in English to an id, for two stores
        that would have the same default id, or for one that keeps its id although it moves.
        """
        ids: dict[str, str] = getattr(settings, "SESSION_STORE_IDS", {})
        return ids.get(in_english(self.label), self.default_id)

    @property
    def default_id(self) -> str:
        """Where sessions are in the store, without a host, a path, a secret or a translatable text.

        Those can change while the store stays the same.
        """
        raise NotImplementedError

    @property
    def label(self) -> str | Promise:
        """The name of the store in errors and on pages, without a password."""
        raise NotImplementedError

    def read(self, key: str, *, with_expiry: bool = False) -> Entry | None:
        """Return the stored entry; None if nothing is stored or it has expired.

        If the expiry costs another round trip, the entry has it only if ``with_expiry``.
        """
        raise NotImplementedError

    def insert(self, key: str, data: Data, expires: datetime) -> Entry:
        """Store the data under a new key. Raises CreateError if something is stored there."""
        raise NotImplementedError

    def compare_and_swap(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        """Replace ``old`` by the data; return None if something else, or nothing, is stored there.

        Only the token is compared, here and in the next two: an expired ``old`` still matches.
        """
        raise NotImplementedError

    def touch(self, key: str, old: Entry, expires: datetime) -> Entry | None:
        """Move the expiry of ``old`` and write nothing else; return None if it does not match."""
        raise NotImplementedError

    def compare_and_delete(self, key: str, old: Entry) -> bool:
        """Delete ``old``; return False if something else, or nothing, is stored there."""
        raise NotImplementedError

    def delete(self, key: str) -> None:
        """Delete what is stored under the key; do nothing for a key that the store cannot hold."""
        raise NotImplementedError

    # These methods have a default for every store, which some stores improve.

    def can_hold(self, key: str) -> bool:
        """Whether a key can be stored. Most stores fail on half a character (a lone surrogate)."""
        try:
            key.encode()
        except UnicodeEncodeError:
            return False
        return True

    def form(self, data: Data) -> Data:
        """Return the data as it would be read after being stored: from JSON, a tuple as a list.

        This form is compared with the stored data, so that the serializer's changes do not count.
        """
        return data

    def load(self, key: str) -> Entry | None:
        """Return the entry that a request starts from, or None. It may be a copy or a replica's."""
        return self.read(key)

    def refresh(self, key: str, old: Entry | None) -> Entry | None:
        """Return the entry that is stored now, or None.

        ``old`` is the entry that the caller has read before, None if there is none. This reads past
        it if it was a copy, and past the snapshot that a transaction keeps seeing.
        """
        return self.read(key)

    def insert_before_save(self, key: str, data: Data, expires: datetime) -> Entry:
        """Insert as ``insert`` does, leaving what can wait to the save that follows right away."""
        return self.insert(key, data, expires)

    def put(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        """Replace ``old`` as ``compare_and_swap`` does; for unchanged data only move the expiry."""
        if self.is_stored(old, data):
            return self.touch(key, old, expires)
        return self.compare_and_swap(key, old, data, expires)

    def is_stored(self, old: Entry, data: Data) -> bool:
        """Whether ``old`` is that data already, in any order."""
        return same_data(old.data or {}, self.form(data))

    def exists(self, key: str) -> bool:
        """Whether a session, readable or not, is stored under that key, which may be any text."""
        stored = self.read(key)
        return stored is not None and not stored.is_tombstone

    def purge(self, key: str) -> None:
        """Delete the entry under this key if it has expired and is still stored."""

    @property
    def in_transaction(self) -> bool:
        """Whether what is stored now may still be rolled back."""
        return False

    def on_commit(self, step: Callable[[], Any]) -> None:
        """Call ``step`` once what was stored is visible to everybody; never, after a rollback."""
        step()

    def batched(self) -> AbstractContextManager[Any]:
        """Return a context manager that saves time if many steps run inside it."""
        return nullcontext()

    def check_settings(self) -> None:
        """Raise ImproperlyConfigured if the settings are wrong. Nothing is connected for that."""

    def refuse_event_loop(self) -> None:
        """Raise SynchronousOnlyOperation on an event loop, if the methods above would.

        A step across two stores calls this first, so that it is refused before anything is changed.
        """

    # Listing. These methods raise NotListableError, with a reason, if a store does not reveal its
    # keys.

    def page(self, position: str, size: int) -> Page:
        """Return about ``size`` live sessions from that position on; tombstones are left out."""
        raise self.not_listable

    def walk(self, page_size: int) -> Iterator[ListedSession]:
        """Yield all sessions, reading ``page_size`` at a time."""
        position = ""
        while True:
            page = self.page(position, page_size)
            yield from page.sessions
            position = page.next
            if not position:
                return

    def is_readable(self, listed: ListedSession) -> bool:
        """Whether the listed entry is a session that can be decoded, and so moved."""
        return listed.stored.data is not None

    def live_keys(self, keys: Collection[str]) -> set[str]:
        """Return those of the keys under which a session is stored."""
        return set(filter(self.exists, keys))

    def count(self) -> int:
        """Return the number of sessions, including expired ones that are not cleared yet."""
        raise self.not_listable

    def count_expired(self) -> int:
        return 0

    def clear(self, batch_size: int) -> Iterator[int]:
        """Delete expired sessions in batches; yield how many each batch deleted.

        Most caches delete expired sessions by themselves, so there is nothing to do.
        """
        return iter(())

    def locate(self, key: str) -> list[Location]:
        """Return the places where the session with that key is stored."""
        return []

    @property
    def not_listable(self) -> NotListableError:
        return NotListableError(
            _("Sessions in %(cache)s cannot be listed: it does not reveal its keys.")
            % {"cache": self.label}
        )


class SerializedStore(Store):
    """A store of bytes, encoded and decoded by SESSION_SERIALIZER."""

    def __init__(self) -> None:
        self._serializer = import_string(settings.SESSION_SERIALIZER)()

    def encode(self, data: Data) -> bytes:
        payload: bytes = self._serializer.dumps(data)
        return payload

    def form(self, data: Data) -> Data:
        form: Data = self._serializer.loads(self.encode(data))
        return form

    def stored(self, payload: bytes, expires: datetime | None) -> Entry:
        """Return an entry for those stored bytes."""
        return Entry(payload, partial(decode_valid, self._serializer.loads, payload), expires)


if TYPE_CHECKING:
    Forwarding = Store
else:
    Forwarding = object


class StoreWrapper(Forwarding):
    """A store around another one, which handles all that this one does not override."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)
