"""Where sessions live: an engine, and the cache that it was set up with."""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.cache import SessionStore as CacheStore
from django.contrib.sessions.backends.cached_db import SessionStore as CachedDBStore
from django.contrib.sessions.backends.db import SessionStore as DBStore
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.translation import gettext as _

from cookieproj.engines.base import Engine
from cookieproj.engines.caches.memory import Memory
from cookieproj.engines.caches.other import Cache
from cookieproj.engines.constants import DJANGOS, NAMES, OURS
from cookieproj.engines.probe import SECONDS
from cookieproj.engines.signed_cookies import SessionStore as SignedCookies


@dataclass(frozen=True)
class Home:
    """An engine by its path and, where it keeps sessions in another cache than its own, that."""

    path: str
    alias: str = ""

    @property
    def name(self) -> str:
        """What people call it: db, or the path of one that is not of ours."""
        return self.path.removeprefix(OURS)

    @property
    def store(self) -> Any:
        """The engine by itself, also where it is the running one, which hands over."""
        return by_itself(import_module(self.path).SessionStore, self.alias)

    @property
    def is_held_by_client(self) -> bool:
        return issubclass(self.store, SignedCookies)


class InCache:
    """Sessions in another cache than SESSION_CACHE_ALIAS names."""

    _alias: str

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)  # type: ignore[call-arg]
        self._cache = caches[self._alias]


@cache
def by_itself(store: type[Any], alias: str) -> type[Any]:
    """Of the very same class each time, so that what is done to one is done to all."""
    return subclass(store, InCache, _alias=alias) if alias else subclass(store)


def subclass(store: type[Any], *before: type[Any], **attributes: Any) -> type[Any]:
    """A subclass that is called as the engine is: Django's salt holds the name."""
    named = {"__qualname__": store.__qualname__, "__module__": store.__module__}
    return type(store.__name__, (*before, store), named | attributes)


def forget(*, setting: str, **kwargs: Any) -> None:
    """Classes note some settings, as that of files does its folder."""
    if setting.startswith("SESSION_"):
        by_itself.cache_clear()


setting_changed.connect(forget, dispatch_uid="cookieproj.engines.handover.homes")


def home(name: str, alias: str = "") -> Home:
    """By a name of ours, or the dotted path of an engine: Django's, ours or one made of ours.

    ``alias`` is heeded where the engine has a cache. Raises ImproperlyConfigured.
    """
    path = OURS + name if name in NAMES else name
    alias = "" if alias == settings.SESSION_CACHE_ALIAS else alias
    path = path.replace(DJANGOS, OURS)
    try:
        store = import_module(path).SessionStore
    except (ImportError, AttributeError, ValueError):
        store = None
    if not (isinstance(store, type) and issubclass(store, Engine | SignedCookies)):
        raise ImproperlyConfigured(
            _(
                "%(name)r is no engine that sessions can be moved between; choose one of "
                "%(names)s, or the dotted path of one made of these."
            )
            % {"name": name, "names": ", ".join(NAMES)}
        )
    return Home(path, alias if issubclass(store, CacheStore | CachedDBStore) else "")


def are_one(one: Home, other: Home, *, ask: bool = False, copies: bool = False) -> str:
    """A sentence that says so, where both keep their sessions under the same names; else empty.

    By the settings, or by the stores themselves if they may be asked: a host has several names,
    and a folder too. Raises StoreError where they do not answer. With another serializer a
    session can be moved within its place, but not copied.
    """
    if one == other:
        return _("Both are %(name)s: name the engine that ran, and the one that is to run.") % {
            "name": one.name
        }
    if not copies and written(one) != written(other):
        return ""
    if not are_in_one_place(one, other, ask=ask):
        return ""
    return _("Both keep their sessions in %(place)s, under the same names.") % {
        "place": one.store._place()
    }


def are_in_one_place(one: Home, other: Home, *, ask: bool = False) -> bool:
    """Whether each would find under a name what the other has put there, db and cached_db apart."""
    if one.is_held_by_client or other.is_held_by_client or shares_rows(one, other):
        return False
    if one.store._id() != other.store._id():
        return False
    are_caches = all(issubclass(home.store, CacheStore) for home in (one, other))
    return (are_caches and address(one) == address(other)) or (ask and finds(one, other))


def address(home: Home) -> tuple[str, Any]:
    """Of a cache, by the settings. What tells no server is known by its location alone."""
    entries = home.store()._entries
    alias = home.alias or settings.SESSION_CACHE_ALIAS
    location = settings.CACHES[alias].get("LOCATION") if type(entries) in {Cache, Memory} else None
    return str(entries.place), location


def finds(one: Home, other: Home) -> bool:
    """Whether there is for the one what the other has just stored: tried, and removed again."""
    session = other.store()
    session.set_expiry(SECONDS)
    session.save()
    try:
        return bool(one.store().exists(session.session_key))
    finally:
        session.delete()


def written(home: Home) -> Any:
    """By it one tells a serializer from another, where the cache has one to choose."""
    entries: Any = home.store()._entries if issubclass(home.store, CacheStore) else None
    return entries.encode({}) if hasattr(entries, "encode") else None


def shares_rows(one: Home, other: Home) -> bool:
    """Whether what the one stores is there for the other already: db and cached_db."""
    if not all(issubclass(home.store, DBStore) for home in (one, other)):
        return False
    tables = [home.store._table() for home in (one, other)]
    return len({(table.model._meta.db_table, table.using) for table in tables}) == 1
