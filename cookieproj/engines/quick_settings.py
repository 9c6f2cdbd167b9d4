"""Settings for each request, read without the two methods that each attribute of Django's passes.

``settings`` is a lazy object: an attribute of it takes several times as long as that of another
object, and a missing one many times. Its own cache, in which it keeps each value until that
changes, is read here first.
"""

from typing import Any

from django.conf import LazySettings, Settings, UserSettingsHolder, settings

# Other packages replace Django's ``settings`` by an object of their own.
IS_DJANGOS = type(settings) is LazySettings
_cached: dict[str, Any] = object.__getattribute__(settings, "__dict__") if IS_DJANGOS else {}

MISSING: Any = object()


def setting(name: str) -> Any:
    """Return ``settings.NAME``."""
    try:
        return _cached[name]
    except KeyError:
        return getattr(settings, name)


def setting_or(name: str, default: Any) -> Any:
    """Return ``getattr(settings, "NAME", default)``."""
    value = _cached.get(name, MISSING)
    if value is not MISSING:
        return value
    source = _cached.get("_wrapped")
    # While tests or ``settings.configure`` override some.
    while type(source) is UserSettingsHolder and name not in vars(source):
        source = source.default_settings
    if type(source) is Settings and name not in vars(source) and not hasattr(Settings, name):
        return default
    return getattr(settings, name, default)
