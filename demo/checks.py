from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from cookieproj.engines.handover import former
from cookieproj.engines.middleware import SessionMiddleware

from .engine import store


@register
def handover_is_possible(**kwargs: Any) -> list[CheckMessage]:
    """Say what is wrong with SESSION_HANDOVER_FROM before the first request does."""
    try:
        store()
        home = former()
        if home:
            home.store()
    except ImproperlyConfigured as error:
        hint = _("Unset SESSION_HANDOVER_FROM when the handover is over.")
        return [Error(str(error), hint=hint, id="demo.E002")]
    except ImportError:
        return []
    if home is None or any(map(hands_over, settings.MIDDLEWARE)):
        return []
    return [
        Error(
            _("SESSION_HANDOVER_FROM is set, and no middleware hands over."),
            hint=_(
                "Name cookieproj.engines.middleware.SessionMiddleware in the place of Django's."
            ),
            id="demo.E003",
        )
    ]


def hands_over(middleware: str) -> bool:
    found = import_string(middleware)
    return isinstance(found, type) and issubclass(found, SessionMiddleware)


@register(Tags.security)
def former_sessions_are_safe_to_read(**kwargs: Any) -> list[CheckMessage]:
    """Warn where the sessions of the former engine are read with pickle."""
    try:
        home = former()
    except ImproperlyConfigured:
        return []
    return sessions_are_pickled(home.alias) if home else []


def sessions_are_pickled(alias: str) -> list[CheckMessage]:
    cache = settings.CACHES.get(alias, {"BACKEND": ""})
    # Django's and django-redis pickle unless they are told otherwise.
    serializer = cache.get("OPTIONS", {}).get("SERIALIZER", "pickle")
    if not cache["BACKEND"].endswith("RedisCache") or "pickle" not in serializer.lower():
        return []
    return [
        CheckWarning(
            _(
                "The sessions that are handed over are read with pickle: whoever can write to that "
                "Redis can run code here."
            ),
            hint=_("Unset SESSION_HANDOVER_CACHE as soon as they are moved."),
            id="demo.W003",
        )
    ]
