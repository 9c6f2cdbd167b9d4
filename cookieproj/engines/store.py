"""What an engine asks of the place where it keeps sessions; see docs/stores.md."""

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
    """Where sessions are kept: a table, a folder, a cache.

    A store knows keys, data and expiries. It keeps no session and no state between two calls:
    what a step has to go by is an argument. ``old`` is always what this store returned for that
    key before, and ``expires`` the moment from which the session opens nothing, naive only where
    USE_TZ is off.

    The first six methods after ``label`` are one round trip each, and whole by itself: of two that
    change one entry at the same moment, one wins, and the other finds out by None or False. All
    raise StoreError where the store fails, and what the serializer raises for data that it cannot
    take.
    """

    # Whether the comparison and the change are one step in the store.
    compares_and_swaps = True

    @property
    def id(self) -> str:
        """What copies and cookies of a handover know the store by, for weeks.

        Where two stores would have the same, or one is to keep it as it moves, the setting
        SESSION_STORE_IDS gives it, by what people call the store in English: its ``label``.
        """
        ids: dict[str, str] = getattr(settings, "SESSION_STORE_IDS", {})
        return ids.get(in_english(self.label), self.default_id)

    @property
    def default_id(self) -> str:
        """Where in the store sessions stand, without a host, a path, a secret or a sentence.

        Those become others while the store stays.
        """
        raise NotImplementedError

    @property
    def label(self) -> str | Promise:
        """What people call the store, without a password: for errors and pages."""
        raise NotImplementedError

    def read(self, key: str, *, with_expiry: bool = False) -> Entry | None:
        """What is stored; None for nothing, and for what has expired.

        A store that has to be asked twice for it tells the expiry only ``with_expiry``.
        """
        raise NotImplementedError

    def insert(self, key: str, data: Data, expires: datetime) -> Entry:
        """Store it under a key that is new. Raises CreateError where something is stored there."""
        raise NotImplementedError

    def compare_and_swap(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        """Store it in the place of ``old``; None where something else is there, or nothing.

        What has expired since is still ``old``: only the token is compared, as in the next two.
        """
        raise NotImplementedError

    def touch(self, key: str, old: Entry, expires: datetime) -> Entry | None:
        """Move the expiry of ``old`` and write nothing else; None as above."""
        raise NotImplementedError

    def compare_and_delete(self, key: str, old: Entry) -> bool:
        """Remove ``old``, if it is what is there."""
        raise NotImplementedError

    def delete(self, key: str) -> None:
        """Remove whatever is there; of a key that it cannot hold, that is nothing."""
        raise NotImplementedError

    # What follows has an answer for every store, and some have a better one.

    def can_hold(self, key: str) -> bool:
        """Whether anything can be stored under it: half a character is an error in most."""
        try:
            key.encode()
        except UnicodeEncodeError:
            return False
        return True

    def form(self, data: Data) -> Data:
        """The data as it would be read after it was stored: in JSON a tuple is a list.

        What is compared with what is stored is this, so that only a change is one.
        """
        return data

    def load(self, key: str) -> Entry | None:
        """What a request begins with: it may come from a copy, or from a replica."""
        return self.read(key)

    def refresh(self, key: str, old: Entry | None) -> Entry | None:
        """What is stored now, of what was ``old`` when it was read; None if it was not.

        Also where ``old`` was a copy, and inside a transaction that goes on seeing what it saw.
        """
        return self.read(key)

    def insert_before_save(self, key: str, data: Data, expires: datetime) -> Entry:
        """As ``insert``; a save follows right away: what is not needed before then can wait."""
        return self.insert(key, data, expires)

    def put(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        """As ``compare_and_swap``; for data that is there already only the expiry is moved."""
        if same_data(old.data or {}, self.form(data)):
            return self.touch(key, old, expires)
        return self.compare_and_swap(key, old, data, expires)

    def exists(self, key: str) -> bool:
        """Whether there is a session, which need not be readable; of any text."""
        stored = self.read(key)
        return stored is not None and not stored.is_tombstone

    def purge(self, key: str) -> None:
        """Remove what has expired under this key, where a store keeps that until it is cleared."""

    @property
    def in_transaction(self) -> bool:
        """Whether what is stored now may yet be rolled back."""
        return False

    def on_commit(self, step: Callable[[], Any]) -> None:
        """Do it once what was stored is there for everybody; never, if it is rolled back."""
        step()

    def batched(self) -> AbstractContextManager[Any]:
        """What many steps stand inside, if that saves time."""
        return nullcontext()

    def refuse_event_loop(self) -> None:
        """Raise SynchronousOnlyOperation on an event loop, if the methods above would.

        So that a step of several, in two stores, is refused before any of them.
        """

    # Listing: NotListableError, with a sentence that says why, where a store tells no keys.

    def page(self, position: str, size: int) -> Page:
        """About ``size`` sessions from that position on, neither expired ones nor tombstones."""
        raise self.not_listable

    def walk(self, page_size: int) -> Iterator[ListedSession]:
        position = ""
        while True:
            page = self.page(position, page_size)
            yield from page.sessions
            position = page.next
            if not position:
                return

    def is_readable(self, listed: ListedSession) -> bool:
        """Whether what is listed is a session that can be moved."""
        return listed.stored.data is not None

    def live_keys(self, keys: Collection[str]) -> set[str]:
        return set(filter(self.exists, keys))

    def count(self) -> int:
        """With the expired that are not yet cleared."""
        raise self.not_listable

    def count_expired(self) -> int:
        return 0

    def clear(self, batch_size: int) -> Iterator[int]:
        """Remove expired sessions, a batch at each step: how many went.

        Most caches forget by themselves.
        """
        return iter(())

    def locate(self, key: str) -> list[Location]:
        return []

    @property
    def not_listable(self) -> NotListableError:
        return NotListableError(
            _("Sessions in %(cache)s cannot be listed: it does not tell its keys.")
            % {"cache": self.label}
        )


class SerializedStore(Store):
    """A store of bytes, which SESSION_SERIALIZER writes and reads."""

    def __init__(self) -> None:
        self._serializer = import_string(settings.SESSION_SERIALIZER)()

    def encode(self, data: Data) -> bytes:
        payload: bytes = self._serializer.dumps(data)
        return payload

    def form(self, data: Data) -> Data:
        form: Data = self._serializer.loads(self.encode(data))
        return form

    def stored(self, payload: bytes, expires: datetime | None) -> Entry:
        return Entry(payload, partial(decode_valid, self._serializer.loads, payload), expires)


if TYPE_CHECKING:
    Forwarding = Store
else:
    Forwarding = object


class StoreWrapper(Forwarding):
    """A store made of another: what it does not do in its own way, that one does."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)
