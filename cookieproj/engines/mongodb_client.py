"""The connection of a process to the MongoDB that SESSION_MONGODB_URL names.

The URL is a MongoDB connection string that names a database: ``mongodb://host:27017/name``, or
``mongodb+srv://host/name``. It may have several hosts, a user and a password, and PyMongo's
options.

The defaults of options are in DEFAULT_OPTIONS. With the write concern ``majority`` and the journal,
an acknowledged write survives a power cut and a fail-over. Reads always go to the primary, whatever
the URL says: a secondary that lags would still open an ended session.
"""

import atexit
import os
from functools import cache
from typing import Any
from urllib.parse import unquote

from bson.codec_options import CodecOptions
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _
from pymongo import MongoClient, ReadPreference
from pymongo.collection import Collection
from pymongo.errors import ConfigurationError
from pymongo.uri_parser import parse_uri

from .constants import MONGODB_COLLECTION

# Times are in milliseconds. After them a silent server counts as unreachable, so that no worker
# waits longer. PyMongo repeats a step that timed out once.
DEFAULT_OPTIONS: dict[str, Any] = {
    "w": "majority",
    "journal": True,
    "connectTimeoutMS": 2000,
    "serverSelectionTimeoutMS": 2000,
    "socketTimeoutMS": 2000,
    "waitQueueTimeoutMS": 2000,
}

Documents = Collection[dict[str, Any]]


def mongodb_url() -> str:
    """Return SESSION_MONGODB_URL.

    Raises ImproperlyConfigured unless it names a server and a database.
    """
    url: str = getattr(settings, "SESSION_MONGODB_URL", "")
    if not (url.startswith(("mongodb://", "mongodb+srv://")) and all(hosts_and_database(url))):
        raise ImproperlyConfigured(
            _(
                "SESSION_MONGODB_URL must name a server and a database, as in "
                "mongodb://localhost:27017/mysite."
            )
        )
    return url


def hosts_and_database(url: str) -> tuple[str, str]:
    """Return the URL's hosts, without user and password, and the name of its database."""
    address, _, database = url.partition("://")[2].partition("?")[0].partition("/")
    return address.rpartition("@")[2], unquote(database)


def documents(url: str) -> Documents:
    """Return the collection of sessions, without connecting.

    Raises PyMongo's ConfigurationError for a URL that it does not accept.
    """
    return documents_of_process(url, os.getpid())


@cache
def documents_of_process(url: str, process_id: int) -> Documents:
    """Return the collection of this process: PyMongo's clients do not survive a fork."""
    client: MongoClient[dict[str, Any]] = MongoClient(url, connect=False, **defaults_for(url))

    def close() -> None:
        # A forked process inherits this function as well, but none of the client's threads.
        if os.getpid() == process_id:
            client.close()

    atexit.register(close)
    return client[hosts_and_database(url)[1]].get_collection(
        MONGODB_COLLECTION,
        codec_options=CodecOptions(tz_aware=True),
        read_preference=ReadPreference.PRIMARY,
    )


def defaults_for(url: str) -> dict[str, Any]:
    """Return the default options that the URL does not set itself."""
    try:
        # Raises for an unknown option, of which MongoClient would only warn.
        given = {name.lower() for name in parse_uri(url)["options"]}
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    return {name: value for name, value in DEFAULT_OPTIONS.items() if name.lower() not in given}
