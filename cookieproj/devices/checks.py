"""System checks of this app: ``devices.E…`` and ``devices.W…``. They register themselves."""

from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, register
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from cookieproj.engines.cookie_sessions import CookieSession
from cookieproj.engines.engine_registry import current_engine
from cookieproj.engines.handover import previous
from cookieproj.engines.revocation_check import revocation_check

from .middleware import DevicesMiddleware
from .user_model import counts_sign_outs

AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"

# What the extra ``devices`` brings.
NEEDED = {"cryptography": "cryptography", "ua_parser": "ua-parser"}


@register
def middleware_is_installed(**kwargs: Any) -> list[CheckMessage]:
    """Say that nobody keeps the registry, or that no user is known where it is kept."""
    ours = [name for name in settings.MIDDLEWARE if is_ours(name)]
    hint = _("List cookieproj.devices.middleware.DevicesMiddleware in MIDDLEWARE, after %(name)s.")
    if not ours:
        text = _("No middleware keeps the registry of signed-in sessions up to date.")
        return [Error(text, hint=hint % {"name": AUTHENTICATION}, id="devices.E001")]
    before = settings.MIDDLEWARE[: settings.MIDDLEWARE.index(ours[0])]
    if AUTHENTICATION in settings.MIDDLEWARE and AUTHENTICATION not in before:
        text = _(
            "DevicesMiddleware stands before AuthenticationMiddleware: it knows no user there."
        )
        return [Error(text, hint=hint % {"name": AUTHENTICATION}, id="devices.E002")]
    return []


def is_ours(name: str) -> bool:
    try:
        found = import_string(name)
    except ImportError:
        return False
    return isinstance(found, type) and issubclass(found, DevicesMiddleware)


@register
def packages_are_installed(**kwargs: Any) -> list[CheckMessage]:
    missing = [package for module, package in NEEDED.items() if not find_spec(module)]
    if not missing:
        return []
    text = _("cookieproj.devices needs %(packages)s.") % {"packages": ", ".join(missing)}
    hint = 'pip install "cookieproj[devices]"'
    return [Error(text, hint=hint, id="devices.E003")]


@register(Tags.security)
def sessions_in_cookies_can_be_ended(**kwargs: Any) -> list[CheckMessage]:
    """Warn where a signed-out session would go on in whatever copy of its cookie there is."""
    try:
        engines = [each for each in (current_engine(), previous()) if each]
        is_open = any(issubclass(each.session_class, CookieSession) for each in engines)
        is_asked = revocation_check() is not None
    except (ImportError, ImproperlyConfigured):
        # Another check says so.
        return []
    if not is_open or is_asked:
        return []
    return [
        CheckWarning(
            _("A copy of a session cookie opens the session after its owner has signed out."),
            hint='SESSION_REVOCATION_CHECK = "cookieproj.devices.revocation.is_revoked"',
            id="devices.W001",
        )
    ]


@register(Tags.security, deploy=True)
def how_all_sessions_are_ended(**kwargs: Any) -> list[CheckMessage]:
    if counts_sign_outs():
        return []
    return [
        Info(
            _("Signing out everywhere ends the sessions that the registry knows, one by one."),
            hint=_("With SignOutEverywhereMixin in the user model it ends all of them at once."),
            id="devices.I001",
        )
    ]
