"""Which engine is meant: names, paths and SESSION_ENGINE are resolved here, and nowhere else."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.cache import SessionStore as CacheStore
from django.contrib.sessions.backends.cached_db import SessionStore as CachedDBStore
from django.contrib.sessions.backends.signed_cookies import SessionStore as SignedCookies
from django.core.cache import caches
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from .constants import DJANGO_ENGINE_NAMES, DJANGO_ENGINES, ENGINE_NAMES, OUR_ENGINES


@dataclass(frozen=True)
class EngineRef:
    """An engine by its dotted path and, if it keeps sessions in another cache than its own, that.

    It need not be there: what asks the engine itself raises ImportError then.
    """

    path: str
    alias: str = ""

    @property
    def name(self) -> str:
        """What the index calls it: db, ours and Django's alike, as both keep the same sessions.

        Of an engine of neither family it is the path.
        """
        return self.path.removeprefix(OUR_ENGINES).removeprefix(DJANGO_ENGINES)

    @property
    def label(self) -> str:
        """What pages call it, that tell ours from others: db, or the path of one that is not."""
        return self.path.removeprefix(OUR_ENGINES)

    @property
    def is_djangos(self) -> bool:
        return self.path.startswith(DJANGO_ENGINES)

    def of(self, family: str) -> "EngineRef":
        """That of the same name in OURS or DJANGOS; one of neither is itself."""
        names = DJANGO_ENGINE_NAMES if family == DJANGO_ENGINES else ENGINE_NAMES
        return replace(self, path=family + self.name) if self.name in names else self

    @property
    def session_class(self) -> type[SessionBase]:
        """What the module names SessionStore: requests get it, and it may hand over."""
        try:
            found: type[SessionBase] = import_string(f"{self.path}.SessionStore")
        except (TypeError, ValueError) as error:
            # No module has such a name: an empty one, or a relative one.
            raise ImportError(str(error)) from error
        return found

    @property
    def store(self) -> Any:
        """The engine by itself, also where it is the running one, which hands over."""
        return without_handover(self.session_class, self.alias)

    @property
    def has_cache(self) -> bool:
        return issubclass(self.session_class, CacheStore | CachedDBStore)

    @property
    def is_held_by_browser(self) -> bool:
        return issubclass(self.session_class, SignedCookies)


def both_families(name: str) -> list[str]:
    """The path of our engine of that name and, where Django has one, that of Django's."""
    families = [OUR_ENGINES, DJANGO_ENGINES] if name in DJANGO_ENGINE_NAMES else [OUR_ENGINES]
    return [family + name for family in families]


def resolve_engine(name: str) -> EngineRef:
    """By a name of ours, or the dotted path of any engine."""
    return EngineRef(OUR_ENGINES + name if name in ENGINE_NAMES else name)


def current_engine() -> EngineRef:
    """The one that SESSION_ENGINE names."""
    return EngineRef(settings.SESSION_ENGINE)


class InOtherCache:
    """Sessions in another cache than SESSION_CACHE_ALIAS names."""

    _alias: str

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)  # type: ignore[call-arg]
        self._cache = caches[self._alias]


@cache
def without_handover(store: type[Any], alias: str) -> type[Any]:
    """A subclass, which no handover goes round.

    The very same each time, so that what is done to one is done to all.
    """
    return (
        same_named_subclass(store, InOtherCache, _alias=alias)
        if alias
        else same_named_subclass(store)
    )


def same_named_subclass(store: type[Any], *before: type[Any], **attributes: Any) -> type[Any]:
    """A subclass that is called as the engine is: Django's salt holds the name."""
    named = {"__qualname__": store.__qualname__, "__module__": store.__module__}
    return type(store.__name__, (*before, store), named | attributes)


def clear_cached_classes(*, setting: str, **kwargs: Any) -> None:
    """Classes note some settings, as that of files does its folder."""
    if setting.startswith("SESSION_"):
        without_handover.cache_clear()


setting_changed.connect(clear_cached_classes, dispatch_uid="cookieproj.engines.engine_registry")
