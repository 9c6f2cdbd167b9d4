"""Which engine a name, a dotted path or SESSION_ENGINE refers to. Nothing else resolves them."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.cache import SessionStore as CacheStore
from django.contrib.sessions.backends.cached_db import SessionStore as CachedDBStore
from django.contrib.sessions.backends.signed_cookies import SessionStore as SignedCookies
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from .constants import DJANGO_ENGINE_NAMES, DJANGO_ENGINES, ENGINE_NAMES, OUR_ENGINES


@dataclass(frozen=True)
class EngineRef:
    """A reference to an engine, by its dotted path and, if it is not the default, its cache alias.

    The engine need not exist. The properties that import it raise ImportError then.
    """

    path: str
    alias: str = ""

    @property
    def name(self) -> str:
        """The engine's name in the registry of signed-in sessions.

        It is ``db`` for ours and Django's alike, as both open the same sessions, and the path for
        an engine of neither family.
        """
        return self.path.removeprefix(OUR_ENGINES).removeprefix(DJANGO_ENGINES)

    @property
    def label(self) -> str:
        """The engine's name on pages: ``db`` for ours, the path for any other."""
        return self.path.removeprefix(OUR_ENGINES)

    @property
    def is_djangos(self) -> bool:
        return self.path.startswith(DJANGO_ENGINES)

    def of(self, family: str) -> "EngineRef":
        """Return the engine of the same name in that family (OUR_ENGINES or DJANGO_ENGINES).

        An engine that is in neither family, or only in one, is returned as it is.
        """
        names = DJANGO_ENGINE_NAMES if family == DJANGO_ENGINES else ENGINE_NAMES
        return replace(self, path=family + self.name) if self.name in names else self

    @property
    def session_class(self) -> type[SessionBase]:
        """The module's class SessionStore, which requests use and which may hand over."""
        try:
            session_class: type[SessionBase] = import_string(f"{self.path}.SessionStore")
        except (TypeError, ValueError) as error:
            # The module's name is empty or relative.
            raise ImportError(str(error)) from error
        return session_class

    @property
    def is_installed(self) -> bool:
        """Whether its module can be imported, with the driver that it needs."""
        try:
            _session_class = self.session_class
        except ImportError:
            return False
        return True

    @property
    def store(self) -> Any:
        """The engine's class without a handover, even if it is the running engine."""
        return without_handover(self.session_class, self.alias)

    @property
    def has_cache(self) -> bool:
        return issubclass(self.session_class, CacheStore | CachedDBStore)

    @property
    def is_in_process_memory(self) -> bool:
        """Whether its sessions are only in the memory of the process that stored them.

        They end with it, so no other process can take them over.
        """
        return issubclass(self.session_class, CacheStore) and self.caches_in_process_memory

    @property
    def caches_in_process_memory(self) -> bool:
        """Whether its cache, or that of its rows, is the memory of a process."""
        alias = self.alias or settings.SESSION_CACHE_ALIAS
        return self.has_cache and isinstance(caches[alias], LocMemCache)

    @property
    def is_held_by_browser(self) -> bool:
        return issubclass(self.session_class, SignedCookies)


def both_families(name: str) -> list[str]:
    """Return the path of our engine of that name and, if Django has one, that of Django's."""
    families = [OUR_ENGINES, DJANGO_ENGINES] if name in DJANGO_ENGINE_NAMES else [OUR_ENGINES]
    return [family + name for family in families]


def resolve_engine(name: str) -> EngineRef:
    """Return the engine with that name of ours, or with that dotted path."""
    return EngineRef(OUR_ENGINES + name if name in ENGINE_NAMES else name)


def current_engine() -> EngineRef:
    """Return the engine that SESSION_ENGINE names."""
    return EngineRef(settings.SESSION_ENGINE)


class InOtherCache:
    """Sessions in another cache than SESSION_CACHE_ALIAS names."""

    _alias: str

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)  # type: ignore[call-arg]
        self._cache = caches[self._alias]


@cache
def without_handover(session_class: type[Any], alias: str) -> type[Any]:
    """Return a subclass of the engine to which no handover applies.

    It is the same class at each call, so that a change of one applies to all.
    """
    return (
        same_named_subclass(session_class, InOtherCache, _alias=alias)
        if alias
        else same_named_subclass(session_class)
    )


def same_named_subclass(
    session_class: type[Any], *bases: type[Any], **attributes: Any
) -> type[Any]:
    """Return a subclass with the same qualified name, which is part of Django's salt."""
    names = {"__qualname__": session_class.__qualname__, "__module__": session_class.__module__}
    return type(session_class.__name__, (*bases, session_class), names | attributes)


def clear_cached_classes(*, setting: str, **kwargs: Any) -> None:
    """Forget the subclasses: classes cache some settings, such as the file engine its folder."""
    if setting.startswith("SESSION_"):
        without_handover.cache_clear()


setting_changed.connect(clear_cached_classes, dispatch_uid="cookieproj.engines.engine_registry")
