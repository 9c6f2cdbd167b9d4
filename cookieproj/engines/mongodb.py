"""The engine that keeps sessions in MongoDB, one document each: see docs/engines.md."""

from .base import Engine
from .mongodb_store import MongoDBStore
from .store import Store


class SessionStore(Engine):
    """Documents of the collection ``django_session``, in the database of SESSION_MONGODB_URL."""

    def make_store(self) -> Store:
        return MongoDBStore()
