"""System checks of the running engine and its store.

They register themselves as this is imported: by the app ``cookieproj.engines``, and by any engine
of it, for a site that names one in SESSION_ENGINE and has not installed the app.
"""

import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.cache import SessionStore as CacheStore
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.backends.file import SessionStore as FileStore
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.core.management import get_commands
from django.utils.translation import gettext as _

from .caches import adapter_for
from .exceptions import StoreError
from .listable import Listable
from .probe import probe
from .registry import running
from .revocation import revocation_check


def store_if_any() -> type[SessionBase] | None:
    """Why there is none, another check says."""
    try:
        return running().session_class
    except ImportError:
        return None


def caching_store() -> type[SessionBase] | None:
    """Where it is one, and CACHES has its cache."""
    found = store_if_any()
    is_one = found and running().has_cache
    return found if is_one and settings.SESSION_CACHE_ALIAS in settings.CACHES else None


@register
def engine_is_there(**kwargs: Any) -> list[CheckMessage]:
    """Say which engine is none, before the first request does so with a stack trace."""
    try:
        _found = running().session_class
    except ImportError as error:
        return [
            Error(
                _("SESSION_ENGINE = %(engine)r is no session engine: %(error)s.")
                % {"engine": settings.SESSION_ENGINE, "error": error},
                hint=_("Name a module with a SessionStore, such as cookieproj.engines.db."),
                id="engines.E001",
            )
        ]
    return []


@register
def table_of_sessions_is_there(**kwargs: Any) -> list[CheckMessage]:
    """Say that the model of an engine's rows is of an app that is not installed."""
    found: Any = store_if_any()
    if not (found and issubclass(found, DatabaseStore)):
        return []
    try:
        found.get_model_class()
    except RuntimeError:
        text = _("SESSION_ENGINE = %(engine)r keeps sessions in a table whose app is missing.")
        hint = _("Add django.contrib.sessions to INSTALLED_APPS, after cookieproj.engines.")
        return [Error(text % {"engine": settings.SESSION_ENGINE}, hint=hint, id="engines.E004")]
    return []


@register
def clearsessions_is_ours(**kwargs: Any) -> list[CheckMessage]:
    """Warn where Django's command of that name comes first, which clears all in one go."""
    is_djangos = get_commands().get("clearsessions") == "django.contrib.sessions"
    if not (is_djangos and apps.is_installed("cookieproj.engines")):
        return []
    text = _(
        "manage.py clearsessions is Django's: it knows neither --batch-size nor --dry-run, and "
        "does not say how many sessions were cleared."
    )
    hint = _("List cookieproj.engines before django.contrib.sessions in INSTALLED_APPS.")
    return [CheckWarning(text, hint=hint, id="engines.W005")]


@register(Tags.security)
def revoked_sessions_are_refused(**kwargs: Any) -> list[CheckMessage]:
    """Say which function is none, before each session that it is to be asked about is an error."""
    try:
        _found = revocation_check()
    except ImproperlyConfigured as error:
        hint = _(
            "Name a function of a session's data and its key, such as mysite.sessions.is_revoked; "
            "or unset it."
        )
        return [Error(str(error), hint=hint, id="engines.E003")]
    return []


@register(Tags.caches)
def sessions_outlive_the_process(**kwargs: Any) -> list[CheckMessage]:
    """Warn where a session engine keeps its sessions in one process's memory."""
    if not caching_store():
        return []
    if not isinstance(caches[settings.SESSION_CACHE_ALIAS], LocMemCache):
        return []
    return [
        CheckWarning(
            _(
                "Sessions are cached in this process's memory: other processes do not see them, "
                "and a restart forgets them."
            ),
            hint=_("Configure Redis or memcached in CACHES."),
            id="engines.W001",
        )
    ]


@register(Tags.caches)
def sessions_lose_no_write(**kwargs: Any) -> list[CheckMessage]:
    """Warn where our engines cannot keep their promise, because of the cache."""
    found = caching_store()
    if not (found and issubclass(found, Listable)):
        return []
    cache = adapter_for(caches[settings.SESSION_CACHE_ALIAS])
    if cache.compares_and_swaps:
        return []
    return [
        CheckWarning(
            _(
                "The cache of the sessions (%(cache)s) cannot compare and swap: of two saves at "
                "the very same moment one can be lost."
            )
            % {"cache": cache.label},
            hint=_(
                "Redis (through django-redis or Django), memcached (PyMemcacheCache) and process "
                "memory can."
            ),
            id="engines.W002",
        )
    ]


NOSY = stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH


@register(Tags.security)
def session_files_are_private(**kwargs: Any) -> list[CheckMessage]:
    """Warn where other users of the machine can list session files, whose names are the keys."""
    found = store_if_any()
    folder = Path(settings.SESSION_FILE_PATH or tempfile.gettempdir())
    if not (found and issubclass(found, FileStore) and folder.is_dir()):
        return []
    if not folder.stat().st_mode & NOSY:
        return []
    return [
        CheckWarning(
            _(
                "Other users of this machine can list the session folder, and each file name "
                "there is a session key."
            ),
            hint=_(
                "chmod 700 %(folder)s, if nothing else is kept there; else name another folder "
                "in SESSION_FILE_PATH."
            )
            % {"folder": folder},
            id="engines.W004",
        )
    ]


@register(Tags.database, deploy=True)
def sessions_can_be_stored(
    *, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Say what the store refuses, and what to do about it, before the first sign-in does.

    It goes to the store, so it is made where Django's checks go to theirs: on request, by
    ``manage.py check --deploy --database default``.
    """
    found = store_if_any()
    if not databases or found is None:
        return []
    if error := what_fails(found):
        return [Error(*described(error), id="engines.E010")]
    if not caching_store():
        return []
    # Not above: it is made of this.
    from .cache import SessionStore as OurCacheStore  # noqa: PLC0415

    # cached_db goes on without its cache.
    if not issubclass(found, CacheStore) and (error := what_fails(OurCacheStore)):
        return [CheckWarning(*described(error), id="engines.W010")]
    return detours()


def detours() -> list[CheckMessage]:
    detour = adapter_for(caches[settings.SESSION_CACHE_ALIAS]).detour
    hint = _("Grant the Redis user +eval with ACL SETUSER, then restart the site.")
    return [CheckWarning(str(detour), hint=hint, id="engines.W011")] if detour else []


def what_fails(store: type[SessionBase]) -> Exception | None:
    try:
        probe(store)
    except Exception as error:  # noqa: BLE001 - Django's engines raise what their drivers do
        return error
    return None


def described(error: Exception) -> tuple[str, str | None]:
    """What is wrong, and the remedy where one is known."""
    if isinstance(error, StoreError):
        remedy = str(error.remedy)
        return str(error).removesuffix(remedy).rstrip(), remedy or None
    text = _("%(engine)s cannot store a session: %(error)s")
    return text % {"engine": settings.SESSION_ENGINE, "error": error}, None
