"""System checks of the running engine and its store.

They are registered when this module is imported: by the app ``cookieproj.engines``, or by any of
its engines, for a site that uses one without installing the app.
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
from .constants import MONGODB
from .engine_registry import current_engine, without_handover
from .exceptions import StoreError
from .handover_mixin import store_of
from .listing import ListingMixin
from .revocation_check import revocation_check
from .signed_ids import signs_ids, unsigned_until
from .store_probe import probe
from .validation import uses_middleware

# The extra of this package that installs a driver of an engine, by the module that is imported.
EXTRAS = {"cryptography": "encrypted", "pymongo": MONGODB, "bson": MONGODB}

SIGNING_MIDDLEWARE = "cookieproj.engines.middleware.SessionMiddleware"


def engine_or_none() -> type[SessionBase] | None:
    """Return the running engine; None if there is none, which another check reports."""
    try:
        return current_engine().session_class
    except ImportError:
        return None


def caching_engine() -> type[SessionBase] | None:
    """Return the running engine if it uses a cache that CACHES has, else None."""
    engine = engine_or_none()
    uses_cache = engine and current_engine().has_cache
    return engine if uses_cache and settings.SESSION_CACHE_ALIAS in settings.CACHES else None


@register
def engine_is_there(**kwargs: Any) -> list[CheckMessage]:
    """Report a missing engine before the first request fails with a stack trace."""
    try:
        _engine = current_engine().session_class
    except ImportError as error:
        return [
            Error(
                _("SESSION_ENGINE = %(engine)r is no session engine: %(error)s.")
                % {"engine": settings.SESSION_ENGINE, "error": error},
                hint=install_hint(error)
                or _("Name a module with a SessionStore, such as cookieproj.engines.db."),
                id="engines.E001",
            )
        ]
    return []


def install_hint(error: ImportError) -> str:
    """Return how to install the driver that is missing; "" if something else is."""
    extra = EXTRAS.get((error.name or "").partition(".")[0])
    return _("Install it: pip install cookieproj[%(extra)s]") % {"extra": extra} if extra else ""


@register
def store_is_configured(**kwargs: Any) -> list[CheckMessage]:
    """Report a missing or wrong setting of the engine's store, such as SESSION_MONGODB_URL."""
    engine = engine_or_none()
    if not (engine and issubclass(engine, ListingMixin)):
        return []
    try:
        store_of(without_handover(engine, "")).check_settings()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="engines.E006")]
    return []


@register(Tags.security)
def password_of_mongodb_is_hidden(**kwargs: Any) -> list[CheckMessage]:
    """Warn if Django's error pages would show the password of MongoDB."""
    url: str = getattr(settings, "SESSION_MONGODB_URL", "") or ""
    if ":" not in url.partition("://")[2].rpartition("@")[0]:
        return []
    text = _("SESSION_MONGODB_URL contains a password, which Django's error pages show.")
    hint = _("Move it to SESSION_MONGODB_PASSWORD, which they hide, and leave the user in the URL.")
    return [CheckWarning(text, hint=hint, id="engines.W013")]


@register
def table_of_sessions_is_there(**kwargs: Any) -> list[CheckMessage]:
    """Say that the model of an engine's rows is of an app that is not installed."""
    found: Any = engine_or_none()
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
    """Report a missing function before each session that needs it is an error."""
    try:
        _function = revocation_check()
    except ImproperlyConfigured as error:
        hint = _(
            "Name a function of a session's data and its key, such as mysite.sessions.is_revoked; "
            "or unset it."
        )
        return [Error(str(error), hint=hint, id="engines.E003")]
    return []


@register(Tags.security)
def session_ids_are_signed(**kwargs: Any) -> list[CheckMessage]:
    """Report a wrong moment, and a setting that nothing reads."""
    try:
        _until = unsigned_until()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="engines.E005")]
    if not signs_ids() or uses_middleware(SIGNING_MIDDLEWARE):
        return []
    text = _("SESSION_ID_SIGNED has no effect: only %(middleware)s signs session ids.")
    hint = _("Put it into MIDDLEWARE, in place of Django's SessionMiddleware.")
    return [
        CheckWarning(text % {"middleware": SIGNING_MIDDLEWARE}, hint=hint, id="engines.W006"),
    ]


@register(Tags.caches)
def sessions_outlive_the_process(**kwargs: Any) -> list[CheckMessage]:
    """Warn if sessions are cached in one process's memory."""
    if not caching_engine():
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
    """Warn if the cache cannot compare and swap, so that our engines can lose a write."""
    engine = caching_engine()
    if not (engine and issubclass(engine, ListingMixin)):
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


ACCESS_BY_OTHERS = stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH


@register(Tags.security)
def session_files_are_private(**kwargs: Any) -> list[CheckMessage]:
    """Warn if other users of the machine can list session files, whose names contain the keys."""
    engine = engine_or_none()
    folder = Path(settings.SESSION_FILE_PATH or tempfile.gettempdir())
    if not (engine and issubclass(engine, FileStore) and folder.is_dir()):
        return []
    if not folder.stat().st_mode & ACCESS_BY_OTHERS:
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
    """Report what the store refuses, and the remedy, before the first sign-in fails.

    This accesses the store, so it runs when Django's checks access databases: on request, by
    ``manage.py check --deploy --database default``.
    """
    engine = engine_or_none()
    if not databases or engine is None:
        return []
    if error := probe_error(engine):
        return [Error(*message_and_remedy(error), id="engines.E010")]
    if not caching_engine():
        return []
    # Imported here, as that module imports this one.
    from .cache import SessionStore as OurCacheStore  # noqa: PLC0415

    # cached_db works without its cache, so this is a warning.
    if not issubclass(engine, CacheStore) and (error := probe_error(OurCacheStore)):
        return [CheckWarning(*message_and_remedy(error), id="engines.W010")]
    return detour_warnings()


def detour_warnings() -> list[CheckMessage]:
    """Warn if the cache works only with more round trips than necessary."""
    detour = adapter_for(caches[settings.SESSION_CACHE_ALIAS]).detour
    hint = _("Grant the Redis user +eval with ACL SETUSER.")
    return [CheckWarning(str(detour), hint=hint, id="engines.W011")] if detour else []


def probe_error(engine: type[SessionBase]) -> Exception | None:
    """Return the error with which a probe of the engine fails, None if it works."""
    try:
        probe(engine)
    except Exception as error:  # noqa: BLE001 - Django's engines raise what their drivers do
        return error
    return None


def message_and_remedy(error: Exception) -> tuple[str, str | None]:
    """Return what is wrong, and the remedy if one is known."""
    if isinstance(error, StoreError):
        remedy = str(error.remedy)
        return str(error).removesuffix(remedy).rstrip(), remedy or None
    text = _("%(engine)s cannot store a session: %(error)s")
    return text % {"engine": settings.SESSION_ENGINE, "error": error}, None
