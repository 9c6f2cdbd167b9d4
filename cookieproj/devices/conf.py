"""The settings of this app, with their defaults."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

# The values of DEVICES_OVER_LIMIT.
END_OLDEST, REFUSE = "end_oldest", "refuse"

# The values of DEVICES_BOUND.
OFFER, REQUIRE = "offer", "require"


def proxies() -> int:
    """Return DEVICES_PROXIES: how many reverse proxies in front append to X-Forwarded-For."""
    return int(getattr(settings, "DEVICES_PROXIES", 0))


def ask_password_after() -> int | None:
    """Return DEVICES_ASK_PASSWORD_AFTER: how many seconds a given password counts. None: always."""
    seconds: int | None = getattr(settings, "DEVICES_ASK_PASSWORD_AFTER", None)
    return seconds


def limit_or_function() -> Any:
    """Return DEVICES_LIMIT, or the function at its dotted path. Raises ImportError."""
    value = getattr(settings, "DEVICES_LIMIT", None)
    return import_string(value) if isinstance(value, str) else value


def limit(user: Any) -> int | None:
    """Return on how many devices the user may be signed in, by DEVICES_LIMIT; None for any number.

    Raises ImportError or ImproperlyConfigured if the setting, or what its function returns, is
    wrong.
    """
    value = limit_or_function()
    number = value(user) if callable(value) else value
    if number is None or is_limit(number):
        return number  # type: ignore[no-any-return]
    text = _("DEVICES_LIMIT gives %(number)r: it must be a positive number or None.")
    raise ImproperlyConfigured(text % {"number": number})


def is_limit(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number > 0


def over_limit() -> str:
    """Return DEVICES_OVER_LIMIT: END_OLDEST or REFUSE."""
    return str(getattr(settings, "DEVICES_OVER_LIMIT", END_OLDEST))


def new_device_email() -> bool:
    """Return DEVICES_NEW_DEVICE_EMAIL: whether users get an e-mail about a new device."""
    return bool(getattr(settings, "DEVICES_NEW_DEVICE_EMAIL", False))


def copied_email() -> bool:
    """Return DEVICES_COPIED_EMAIL: whether users get an e-mail about a copied session."""
    return bool(getattr(settings, "DEVICES_COPIED_EMAIL", False))


def binds_sessions() -> bool:
    """Whether DEVICES_BOUND is set: sessions may be bound to devices."""
    return bool(getattr(settings, "DEVICES_BOUND", None))


def bound_or_function() -> Any:
    """Return DEVICES_BOUND, or the function at its dotted path. Raises ImportError."""
    value = getattr(settings, "DEVICES_BOUND", None)
    return import_string(value) if isinstance(value, str) and "." in value else value


def bound(user: Any) -> str | None:
    """Return whether the user's sessions are bound, by DEVICES_BOUND: OFFER, REQUIRE or None.

    Raises ImportError or ImproperlyConfigured if the setting, or what its function returns, is
    wrong.
    """
    value = bound_or_function()
    policy = value(user) if callable(value) else value
    if policy in {OFFER, REQUIRE, None}:
        return policy  # type: ignore[no-any-return]
    text = _('DEVICES_BOUND gives %(value)r: it must be "%(offer)s", "%(require)s" or None.')
    names = {"value": policy, "offer": OFFER, "require": REQUIRE}
    raise ImproperlyConfigured(text % names)


def bound_age() -> int:
    """Return DEVICES_BOUND_AGE: for how many seconds a browser need not prove its key again."""
    return int(getattr(settings, "DEVICES_BOUND_AGE", 5 * 60))
