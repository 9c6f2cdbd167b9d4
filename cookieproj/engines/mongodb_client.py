"""The connection of a process to the MongoDB that SESSION_MONGODB_URL names.

The URL is a MongoDB connection string that names a database: ``mongodb://host:27017/name``, or
``mongodb+srv://host/name``. It may have several hosts, a user, and PyMongo's options. The password
is best in SESSION_MONGODB_PASSWORD: Django's error pages hide a setting of that name.

The defaults of options are in DEFAULT_OPTIONS. With the write concern ``majority`` and the journal,
an acknowledged write survives a power cut and a fail-over. Reads go to the primary, whatever read
preference the URL names: a secondary that lags would still open an ended session.
"""

import atexit
import os
from functools import cache
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from bson.codec_options import CodecOptions, DatetimeConversion
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from pymongo import MongoClient, ReadPreference
from pymongo.collection import Collection
from pymongo.errors import ConfigurationError, PyMongoError
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

# A date that Python cannot represent, written by another program, becomes the nearest that it can.
CODEC_OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_CLAMP
)

Documents = Collection[dict[str, Any]]


def mongodb_url() -> str:
    """Return SESSION_MONGODB_URL.

    Raises ImproperlyConfigured unless it names a server and a database, a user if there is a
    password, and PyMongo accepts it. A URL of the scheme ``mongodb+srv`` is accepted by PyMongo
    only when it is used.
    """
    url: str = getattr(settings, "SESSION_MONGODB_URL", "") or ""
    if problem := problem_with(url):
        raise ImproperlyConfigured(problem)
    if password() and not names_user(url):
        raise ImproperlyConfigured(
            _("SESSION_MONGODB_PASSWORD is set, but SESSION_MONGODB_URL names no user.")
        )
    return url


def password() -> str:
    return getattr(settings, "SESSION_MONGODB_PASSWORD", "") or ""


@cache
def problem_with(url: str) -> str | Promise:
    """Return a sentence on what is wrong with the URL, without quoting it; "" if nothing is."""
    if not (url.startswith(("mongodb://", "mongodb+srv://")) and all(hosts_and_database(url))):
        return gettext_lazy(
            "SESSION_MONGODB_URL must name a server and a database, as in "
            "mongodb://localhost:27017/mysite."
        )
    try:
        options = given_options(url)
    except ConfigurationError as error:
        text = gettext_lazy("SESSION_MONGODB_URL is wrong: {error}.")
        return format_lazy(text, error=str(error).rstrip("."))
    if str(options.get("w")) == "0":
        return gettext_lazy("SESSION_MONGODB_URL is wrong: with w=0 no write is acknowledged.")
    return ""


def names_user(url: str) -> bool:
    return "@" in url.partition("://")[2]


def hosts_and_database(url: str) -> tuple[str, str]:
    """Return the URL's hosts, without user and password, and the name of its database."""
    address = url.partition("://")[2].rpartition("@")[2].partition("?")[0]
    hosts, _slash, database = address.partition("/")
    return hosts, unquote_plus(database)


def given_options(url: str) -> dict[str, Any]:
    """Return the options that the URL itself sets, by their names in lower case.

    Raises ConfigurationError for one that PyMongo does not know or accept. MongoClient would only
    warn of it.
    """
    if url.startswith("mongodb+srv://"):
        # To parse it, PyMongo would ask a name server.
        return {name.lower(): value for name, value in parse_qsl(url.partition("?")[2])}
    try:
        with as_configuration_error():
            options = parse_uri(url)["options"]
    except ConfigurationError as error:
        raise with_name_of_option(error, url) from None
    return {name.lower(): value for name, value in options.items()}


def with_name_of_option(error: ConfigurationError, url: str) -> ConfigurationError:
    """Return an error with the name of the unknown option, which PyMongo's text does not have."""
    for name, _value in parse_qsl(url.partition("?")[2], keep_blank_values=True):
        try:
            parse_uri(f"mongodb://host/?{name}=1")
        except Exception as error_of_option:  # noqa: BLE001 - or the value is wrong
            if str(error_of_option) == str(error):
                return ConfigurationError(f"unknown option {name}")
    return error


class as_configuration_error:  # noqa: N801 - a context manager
    """Turn what PyMongo raises for a wrong URL, such as a missing file, into its own error."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ValueError | KeyError | TypeError | OSError) and not isinstance(
            error, PyMongoError
        ):
            raise ConfigurationError(str(error)) from None


# By URL and process id, as no client survives a fork.
collections: dict[tuple[str, int], Documents] = {}
creation_lock = Lock()


def renew_lock() -> None:
    """In a forked process, replace a lock that another thread may have held."""
    global creation_lock  # noqa: PLW0603
    creation_lock = Lock()


os.register_at_fork(after_in_child=renew_lock)


def documents(url: str) -> Documents:
    """Return the collection of sessions, without connecting.

    Raises PyMongo's ConfigurationError for a URL that it does not accept.
    """
    key = (url, os.getpid())
    if key not in collections:
        with creation_lock:
            if key not in collections:
                collections[key] = collection_of(new_client(url), url)
    return collections[key]


def collection_of(client: MongoClient[dict[str, Any]], url: str) -> Documents:
    return client[hosts_and_database(url)[1]].get_collection(
        MONGODB_COLLECTION,
        codec_options=CODEC_OPTIONS,
        read_preference=ReadPreference.PRIMARY,
    )


def new_client(url: str) -> MongoClient[dict[str, Any]]:
    """Return a client that is closed when this process ends."""
    given = given_options(url)
    options = {name: value for name, value in DEFAULT_OPTIONS.items() if name.lower() not in given}
    if password():
        options["password"] = password()
    with as_configuration_error():
        client: MongoClient[dict[str, Any]] = MongoClient(url, connect=False, **options)
    process_id = os.getpid()

    def close() -> None:
        # A forked process inherits this function as well, but none of the client's threads.
        if os.getpid() == process_id:
            client.close()

    atexit.register(close)
    return client
