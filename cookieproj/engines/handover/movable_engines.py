"""The engines that sessions can be moved between, by name or dotted path."""

from dataclasses import replace

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from cookieproj.engines.constants import ENGINE_NAMES, OUR_ENGINES
from cookieproj.engines.engine_registry import EngineRef, resolve_engine
from cookieproj.engines.handover_mixin import HandoverMixin


def handover_engine(name: str, alias: str = "") -> EngineRef:
    """Return the engine of that name or dotted path; for one of Django's, ours of the same name.

    Both use the same wire format, so ours reads the sessions that Django's stored. ``alias`` is
    the cache in CACHES that holds the sessions; an engine without a cache ignores it. Raises
    ImproperlyConfigured for an engine that sessions cannot be moved to or from.
    """
    engine = resolve_engine(name).of(OUR_ENGINES)
    try:
        session_class = engine.session_class
    except ImportError:
        session_class = None
    if not (isinstance(session_class, type) and issubclass(session_class, HandoverMixin)):
        raise ImproperlyConfigured(
            _(
                "Sessions cannot be moved to or from %(name)r. Choose one of %(names)s, or the "
                "dotted path of an engine that is based on one of these."
            )
            % {"name": name, "names": ", ".join(ENGINE_NAMES)}
        )
    has_other_cache = engine.has_cache and alias != settings.SESSION_CACHE_ALIAS
    return replace(engine, alias=alias if has_other_cache else "")
