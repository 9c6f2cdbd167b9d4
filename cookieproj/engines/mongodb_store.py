"""Sessions in a collection of MongoDB: one document each, changed in single atomic operations.

A document has the session key as ``_id``, the data as SESSION_SERIALIZER writes it, and its
expiry. Every operation names one ``_id`` or walks in its order, so the collection can be sharded by
it.
"""

import logging
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from django.contrib.sessions.backends.base import CreateError
from pymongo.errors import DuplicateKeyError, PyMongoError

from .clock import as_django_stores, aware, is_past
from .constants import MONGODB_COLLECTION, SESSION_TOMBSTONE
from .english import in_english
from .entries import Entry, ListedSession, Location, Page
from .listing import Estimate
from .merge import Data
from .mongodb_client import Documents, documents, hosts_and_database, mongodb_url
from .mongodb_errors import TOO_LARGE, store_error
from .round_trips import StoreCall
from .store import SerializedStore

logger = logging.getLogger("django.contrib.sessions")

# A change is one command of at most 16 MiB, with the stored data and the new data.
MAX_DATA_BYTES = 8 * 1024 * 1024 - 1024
COUNTED_EXACTLY = 50_000
CLEARED_AT_ONCE = 100
# Seconds.
INDEX_CHECK_INTERVAL = 600

Document = dict[str, Any]


class MongoDBStore(SerializedStore):
    """Documents whose stored data is compared, so that of two concurrent changes one succeeds."""

    def __init__(self) -> None:
        super().__init__()
        self.url = mongodb_url()

    @property
    def default_id(self) -> str:
        return f"MongoDB {hosts_and_database(self.url)[1]}.{MONGODB_COLLECTION}"

    @property
    def label(self) -> str:
        return "MongoDB {}/{}".format(*hosts_and_database(self.url))

    def read(self, key: str, *, with_expiry: bool = False) -> Entry | None:
        if not self.can_hold(key):
            return None
        with self._call():
            document = self._documents.find_one({"_id": key})
        entry = document and self._entry(document)
        # A document of another program may have no expiry.
        return None if not entry or entry.expires is None or is_past(entry.expires) else entry

    def insert(self, key: str, data: Data, expires: datetime) -> Entry:
        document = {"_id": key, **self._fields(data, expires)}
        with self._call():
            try:
                self._documents.insert_one(document)
            except DuplicateKeyError:
                # Its text contains the session key.
                raise CreateError from None
        ensure_index(self._documents, self.label)
        return self._entry(document)

    def compare_and_swap(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        fields = self._fields(data, expires)
        return self._entry(fields) if self._update(key, old, fields) else None

    def touch(self, key: str, old: Entry, expires: datetime) -> Entry | None:
        return old if self._update(key, old, {"expires": aware(expires)}) else None

    def _update(self, key: str, old: Entry, fields: Document) -> bool:
        with self._call():
            unchanged = {"_id": key, "data": old.token}
            return self._documents.update_one(unchanged, {"$set": fields}).matched_count == 1

    def compare_and_delete(self, key: str, old: Entry) -> bool:
        return self._delete({"_id": key, "data": old.token})

    def delete(self, key: str) -> None:
        if self.can_hold(key):
            self._delete({"_id": key})

    def purge(self, key: str) -> None:
        self._delete({"_id": key, **expired()})

    def _delete(self, one: Document) -> bool:
        with self._call():
            return self._documents.delete_one(one).deleted_count == 1

    def page(self, position: str, size: int) -> Page:
        """Return a page in the order of the keys; a position is the last key of the page before."""
        with self._call():
            found = list(
                self._documents.find({"_id": {"$gt": position}, **live()})
                .sort("_id")
                .limit(size + 1)
            )
        listed = [self._listed(document) for document in found[:size]]
        live_sessions = [session for session in listed if not session.stored.is_tombstone]
        return Page(live_sessions, listed[-1].key if len(found) > size else "")

    def _listed(self, document: Document) -> ListedSession:
        entry = self._entry(document)
        payload = entry.token if type(entry.token) is bytes else b""
        return ListedSession(document["_id"], payload, entry)

    def live_keys(self, keys: Collection[str]) -> set[str]:
        storable = list(filter(self.can_hold, keys))
        is_live = {"data": {"$ne": self.encode(SESSION_TOMBSTONE)}, **live()}
        with self._call():
            found = self._documents.find({"_id": {"$in": storable}, **is_live}, ["_id"])
            return {document["_id"] for document in found}

    def count(self) -> int:
        """Return MongoDB's own estimate, or the exact number if it is at most COUNTED_EXACTLY."""
        with self._call():
            estimate = self._documents.estimated_document_count()
        if estimate > COUNTED_EXACTLY:
            return Estimate(estimate)
        with self._call():
            return self._documents.count_documents({})

    def count_expired(self) -> int:
        with self._call():
            return self._documents.count_documents(expired())

    def clear(self, batch_size: int) -> Iterator[int]:
        """Delete expired sessions in batches, which MongoDB does by itself once a minute.

        A batch has at most CLEARED_AT_ONCE sessions, so that it takes no longer than a time-out.
        """
        while True:
            with self._call():
                found = self._documents.find(expired(), ["_id"]).limit(
                    min(batch_size, CLEARED_AT_ONCE)
                )
                keys = [document["_id"] for document in found]
            if not keys:
                return
            with self._call():
                deleted = self._documents.delete_many({"_id": {"$in": keys}, **expired()})
            yield deleted.deleted_count

    def locate(self, key: str) -> list[Location]:
        entry = self.read(key)
        if entry is None:
            return []
        return [Location(self.label, f"_id = {key}", entry.token, entry.expires)]

    def _fields(self, data: Data, expires: datetime) -> Document:
        # Raises TypeError for a serializer that returns text, which could not be read again.
        payload = bytes(self.encode(data))
        if len(payload) > MAX_DATA_BYTES:
            error_class, remedy = TOO_LARGE
            raise error_class(self.label, f"{len(payload):,} bytes", remedy)
        return {"data": payload, "expires": aware(expires)}

    def _entry(self, document: Document) -> Entry:
        """Return the document as an entry. It is unreadable if no engine of ours has written it."""
        payload, expires = document.get("data"), document.get("expires")
        moment = as_django_stores(expires) if isinstance(expires, datetime) else None
        # Binary, a subclass, has the subtype of another program.
        if type(payload) is not bytes:
            return Entry(payload, lambda: None, moment)
        return self.stored(payload, moment)

    @property
    def _documents(self) -> Documents:
        return documents(self.url)

    def _call(self) -> StoreCall:
        return StoreCall(self._raise_store_error)

    def _raise_store_error(self, error: BaseException) -> None:
        if found := store_error(self.label, error):
            raise found from error


def live() -> Document:
    return {"expires": {"$gt": datetime.now(UTC)}}


def expired() -> Document:
    return {"expires": {"$lte": datetime.now(UTC)}}


# When each store's index is looked at again, by the store's label.
next_index_check: dict[str, float] = {}


def ensure_index(documents: Documents, label: str) -> None:
    """Create the index by which MongoDB deletes expired sessions, unless it exists.

    This is done after the first session of a process, and again after INDEX_CHECK_INTERVAL, in case
    the collection was dropped. A failure is logged and does no harm to the session. A user without
    the right to create it can use an index that an administrator has created.
    """
    now = monotonic()
    if now < next_index_check.get(label, now):
        return
    next_index_check[label] = now + INDEX_CHECK_INTERVAL
    try:
        documents.create_index("expires", expireAfterSeconds=0)
    except PyMongoError as error:
        logger.warning(
            "MongoDB may not delete expired sessions by itself. %s Create the index "
            '{"expires": 1} of %s with expireAfterSeconds: 0, or run manage.py clearsessions.',
            in_english(store_error(label, error) or error),
            MONGODB_COLLECTION,
        )
