"""Where sessions live: an engine, and the cache that it was set up with."""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from django.contrib.sessions.backends.cache import SessionStore as CacheStore
from django.contrib.sessions.backends.cached_db import SessionStore as CachedDBStore
from django.contrib.sessions.backends.db import SessionStore as DBStore
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.translation import gettext as _

from cookieproj.engines.base import Engine
from cookieproj.engines.signed_cookies import SessionStore as SignedCookies

OURS = "cookieproj.engines."
# Of the same wire format, so ours reads what they have stored.
DJANGOS = "django.contrib.sessions.backends."

NAMES = ("db", "cache", "file", "cached_db", "signed_cookies")


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


setting_changed.connect(forget, dispatch_uid="cookieproj.engines.handover")


def home(name: str, alias: str = "") -> Home:
    """By a name of ours, or the dotted path of an engine: Django's, ours or one made of ours.

    ``alias`` is heeded where the engine has a cache. Raises ImproperlyConfigured.
    """
    path = OURS + name if name in NAMES else name
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


def are_one(one: Home, other: Home) -> str:
    """A sentence that says so, where both keep their sessions under the same names; else empty."""
    if one == other:
        return _("Both are %(name)s: name the engine that ran, and the one that is to run.") % {
            "name": one.name
        }
    if not all(issubclass(home.store, CacheStore) for home in (one, other)):
        return ""
    entries = [home.store()._entries for home in (one, other)]
    if len({(entry.place, entry.cache.make_key(""), written(entry)) for entry in entries}) > 1:
        return ""
    return _("Both keep their sessions in %(place)s, under the same names.") % {
        "place": entries[0].place
    }


def written(entries: Any) -> Any:
    """By it one tells a serializer from another, where the cache has one to choose."""
    return entries.encode({}) if hasattr(entries, "encode") else None


def shares_rows(one: Home, other: Home) -> bool:
    """Whether what the one stores is there for the other already: db and cached_db."""
    stores = one.store, other.store
    if not all(issubclass(store, DBStore) for store in stores):
        return False
    return bool(stores[0].get_model_class() is stores[1].get_model_class())
