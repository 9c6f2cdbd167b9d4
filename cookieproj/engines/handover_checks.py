"""System checks of a handover, registered on import, as in ``checks``."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from .handover import previous
from .handover_mixin import store_of
from .running_engine import store


@register
def handover_is_possible(**kwargs: Any) -> list[CheckMessage]:
    """Report a wrong SESSION_HANDOVER_FROM before the first request fails."""
    try:
        store()
        handover_engine = previous()
        if handover_engine:
            store_of(handover_engine.store)
    except ImproperlyConfigured as error:
        hint = _("Unset SESSION_HANDOVER_FROM when the handover is over.")
        return [Error(str(error), hint=hint, id="engines.E002")]
    except ImportError:
        # A missing engine has a check of its own.
        pass
    return []


@register
def previous_sessions_have_not_ended(**kwargs: Any) -> list[CheckMessage]:
    """Warn if the previous engine kept its sessions in the memory of a process."""
    try:
        handover_engine = previous()
        is_in_memory = handover_engine and handover_engine.is_in_process_memory
    except (ImproperlyConfigured, ImportError):
        return []
    if not is_in_memory:
        return []
    text = _(
        "SESSION_HANDOVER_FROM = %(engine)r takes no session over: that cache is the memory of a "
        "process, and its sessions have ended with it."
    )
    hint = _(
        "Unset it. If the sessions are in Redis or memcached, name that server in CACHES, and its "
        "alias in SESSION_HANDOVER_CACHE_ALIAS."
    )
    values = {"engine": settings.SESSION_HANDOVER_FROM}
    return [CheckWarning(text % values, hint=hint, id="engines.W017")]


@register(Tags.security)
def previous_sessions_are_safe_to_read(**kwargs: Any) -> list[CheckMessage]:
    """Warn if the sessions of the previous engine are read with pickle."""
    try:
        handover_engine = previous()
    except ImproperlyConfigured:
        return []
    return sessions_are_pickled(handover_engine.alias) if handover_engine else []


def sessions_are_pickled(alias: str) -> list[CheckMessage]:
    cache = settings.CACHES.get(alias, {"BACKEND": ""})
    # Django's Redis cache and django-redis use pickle by default.
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
            id="engines.W003",
        )
    ]
