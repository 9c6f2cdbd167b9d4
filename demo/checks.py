from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, register
from django.core.checks import Warning as CheckWarning

CACHE_ENGINES = (".cache", ".cached_db")


@register(Tags.caches)
def sessions_outlive_the_process(**kwargs: Any) -> list[CheckMessage]:
    """Warn where a session engine keeps its sessions in one process's memory."""
    if not settings.SESSION_ENGINE.endswith(CACHE_ENGINES):
        return []
    backend = settings.CACHES[settings.SESSION_CACHE_ALIAS]["BACKEND"]
    if not backend.endswith("LocMemCache"):
        return []
    return [
        CheckWarning(
            "Sessions are cached in this process's memory: other processes do not see them, "
            "and a restart forgets them.",
            hint="Set CACHE_URL to redis://host:6379/0 or memcached://host:11211.",
            id="demo.W001",
        )
    ]
