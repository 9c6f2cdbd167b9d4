"""The settings of this app, with their defaults."""

from django.conf import settings


def proxies() -> int:
    """Return DEVICES_PROXIES: how many reverse proxies in front append to X-Forwarded-For."""
    return int(getattr(settings, "DEVICES_PROXIES", 0))


def ask_password_after() -> int | None:
    """Return DEVICES_ASK_PASSWORD_AFTER: how many seconds a given password counts. None: always."""
    seconds: int | None = getattr(settings, "DEVICES_ASK_PASSWORD_AFTER", None)
    return seconds
