"""The settings of this app, and what they are where a site does not name them."""

from django.conf import settings


def proxies() -> int:
    """DEVICES_PROXIES: reverse proxies before the site, each of which adds to X-Forwarded-For."""
    return int(getattr(settings, "DEVICES_PROXIES", 0))
