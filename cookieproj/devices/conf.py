"""The settings of this app, with their defaults."""

from django.conf import settings


def proxies() -> int:
    """Return DEVICES_PROXIES: how many reverse proxies in front append to X-Forwarded-For."""
    return int(getattr(settings, "DEVICES_PROXIES", 0))
