"""System checks of SESSION_IDLE_AGE, SESSION_ABSOLUTE_AGE and SESSION_RENEW_AGE."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from .checks import engine_or_none
from .key_renewal import ends_copied
from .timeouts import Timeouts, TimeoutsMixin, seconds_of, timeouts
from .validation import uses_middleware

OUR_MIDDLEWARE = "cookieproj.engines.middleware.SessionMiddleware"


def timeouts_or_none() -> Timeouts:
    """Return the settings, as if unset if one is wrong: that is a check of its own."""
    try:
        return timeouts()
    except ImproperlyConfigured:
        return Timeouts(None, None)


@register(Tags.security)
def timeouts_are_numbers(**kwargs: Any) -> list[CheckMessage]:
    """Report each setting that is no number of seconds."""
    errors: list[CheckMessage] = []
    for name in ("SESSION_IDLE_AGE", "SESSION_ABSOLUTE_AGE", "SESSION_RENEW_AGE"):
        try:
            seconds_of(name)
        except ImproperlyConfigured as error:
            errors.append(Error(str(error), id="engines.E011"))
    return errors


@register(Tags.security)
def idle_age_is_the_shorter(**kwargs: Any) -> list[CheckMessage]:
    """Warn of an idle age that never applies."""
    idle, absolute = timeouts_or_none()
    if idle is None or absolute is None or idle < absolute:
        return []
    text = _("SESSION_IDLE_AGE never ends a session: SESSION_ABSOLUTE_AGE is not longer.")
    hint = _("Set SESSION_IDLE_AGE to fewer seconds than SESSION_ABSOLUTE_AGE.")
    return [CheckWarning(text, hint=hint, id="engines.W015")]


@register(Tags.security)
def engine_has_timeouts(**kwargs: Any) -> list[CheckMessage]:
    """Report an engine that knows no timeouts, such as Django's: no session would end by one."""
    engine = engine_or_none()
    if timeouts_or_none() == (None, None) or not engine or issubclass(engine, TimeoutsMixin):
        return []
    text = _("SESSION_ENGINE = %(engine)r ends no session by SESSION_IDLE_AGE or another timeout.")
    hint = _("Use an engine of cookieproj.engines, or remove the setting.")
    return [Error(text % {"engine": settings.SESSION_ENGINE}, hint=hint, id="engines.E012")]


@register(Tags.security)
def readers_are_not_idle(**kwargs: Any) -> list[CheckMessage]:
    """Warn if no middleware renews sessions: who only reads would be signed out."""
    if timeouts_or_none().idle is None or settings.SESSION_SAVE_EVERY_REQUEST:
        return []
    if uses_middleware(OUR_MIDDLEWARE):
        return []
    text = _("SESSION_IDLE_AGE signs out people who only read: Django's middleware renews nothing.")
    hint = _("List %(name)s in MIDDLEWARE, in place of Django's.") % {"name": OUR_MIDDLEWARE}
    return [CheckWarning(text, hint=hint, id="engines.W014")]


@register(Tags.security)
def copied_sessions_can_be_noticed(**kwargs: Any) -> list[CheckMessage]:
    """Warn if SESSION_END_COPIED is on, and no key is renewed: then no copy is ever noticed."""
    if not ends_copied() or getattr(settings, "SESSION_RENEW_AGE", None) is not None:
        return []
    text = _("SESSION_END_COPIED never ends a session: SESSION_RENEW_AGE is not set.")
    hint = _("Set SESSION_RENEW_AGE to the seconds after which a session gets a new key.")
    return [CheckWarning(text, hint=hint, id="engines.W016")]
