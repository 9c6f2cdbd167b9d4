"""System checks of the settings on the limit of devices, on new ones, and on asking again.

Importing the module registers them.
"""

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from cookieproj.engines import running_engine

from . import conf
from .user_model import email_field


@register
def proxies_are_a_number(**kwargs: Any) -> list[CheckMessage]:
    """Report a DEVICES_PROXIES that is no number of proxies."""
    value: Any = getattr(settings, "DEVICES_PROXIES", 0)
    if type(value) is int and value >= 0:
        return []
    text = _("DEVICES_PROXIES = %(value)r is not a number of proxies.") % {"value": value}
    hint = _("Set it to how many proxies in front append to X-Forwarded-For; 0 without a proxy.")
    return [Error(text, hint=hint, id="devices.E010")]


@register
def limit_is_valid(**kwargs: Any) -> list[CheckMessage]:
    """Report a DEVICES_LIMIT that is no positive number, no function, and no path of one."""
    try:
        value = conf.limit_or_function()
    except ImportError:
        # It is a path that names nothing.
        value = getattr(settings, "DEVICES_LIMIT", None)
    if value is None or callable(value) or conf.is_limit(value):
        return []
    text = _("DEVICES_LIMIT = %(value)r is not a number of devices.") % {"value": value}
    hint = _(
        "Set it to a positive number, to a function that takes a user and returns one or None, to "
        "the dotted path of such a function, or to None for any number of devices."
    )
    return [Error(text, hint=hint, id="devices.E007")]


@register
def over_limit_is_valid(**kwargs: Any) -> list[CheckMessage]:
    """Report a DEVICES_OVER_LIMIT that is none of its values."""
    value = conf.over_limit()
    if value in {conf.END_OLDEST, conf.REFUSE}:
        return []
    text = _("DEVICES_OVER_LIMIT = %(value)r is not one of its values.")
    hint = _('Set it to "%(end_oldest)s" or "%(refuse)s".') % {
        "end_oldest": conf.END_OLDEST,
        "refuse": conf.REFUSE,
    }
    return [Error(text % {"value": value}, hint=hint, id="devices.E008")]


@register
def ask_password_after_is_valid(**kwargs: Any) -> list[CheckMessage]:
    """Report a DEVICES_ASK_PASSWORD_AFTER that is no number of seconds."""
    value: Any = conf.ask_password_after()
    if value is None or (type(value) is int and value >= 0):
        return []
    text = _("DEVICES_ASK_PASSWORD_AFTER = %(value)r is not a number of seconds.")
    hint = _("Set it to a whole number of seconds, or to None to ask nobody.")
    return [Error(text % {"value": value}, hint=hint, id="devices.E009")]


@register
def engine_ends_the_oldest(**kwargs: Any) -> list[CheckMessage]:
    """Warn if the engine cannot end the oldest session, so that the new one is refused."""
    if getattr(settings, "DEVICES_LIMIT", None) is None or conf.over_limit() != conf.END_OLDEST:
        return []
    try:
        reason = running_engine.why_not_single()
    except (ImportError, ImproperlyConfigured):
        # Another check reports the error.
        return []
    if not reason:
        return []
    text = _("A sign-in over DEVICES_LIMIT is refused, because the oldest session cannot end.")
    hint = _('%(reason)s Or set DEVICES_OVER_LIMIT = "refuse".') % {"reason": reason}
    return [CheckWarning(text, hint=hint, id="devices.W003")]


@register
def users_have_email_addresses(**kwargs: Any) -> list[CheckMessage]:
    """Warn of each setting that is to send e-mails to users whose model has no address."""
    are_on = {
        "DEVICES_NEW_DEVICE_EMAIL": conf.new_device_email(),
        "DEVICES_COPIED_EMAIL": conf.copied_email(),
    }
    text = _("%(setting)s sends no e-mail: the user model has no field for an address.")
    hint = _("Name the field in EMAIL_FIELD of the user model, or set %(setting)s = False.")
    return [
        CheckWarning(
            text % {"setting": setting},
            hint=hint % {"setting": setting},
            obj=get_user_model(),
            id="devices.W004",
        )
        for setting, is_on in are_on.items()
        if is_on and not email_field()
    ]
