"""System checks of this app: ``devices.E…`` and ``devices.W…``. They register themselves."""

from importlib.util import find_spec
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Info, Tags, register
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.core.management import get_commands
from django.db import router
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from cookieproj.engines.cookie_sessions import CookieSession
from cookieproj.engines.engine_registry import current_engine
from cookieproj.engines.handover import previous
from cookieproj.engines.revocation_check import revocation_check

from .middleware import DevicesMiddleware
from .models import RefusedSession, SignedInSession
from .user_model import counts_sign_outs, has_field, password_model

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
    except (ImportError, RuntimeError):
        # The latter for one whose models are of an app that is not installed.
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


@register
def users_are_in_the_same_database(**kwargs: Any) -> list[CheckMessage]:
    """Say that DATABASE_ROUTERS put the registry where no foreign key leads to a user."""
    users = router.db_for_write(get_user_model())
    apart = {router.db_for_write(model) for model in (SignedInSession, RefusedSession)} - {users}
    if not apart:
        return []
    text = _(
        "The users are in the database %(users)s, and the registry of signed-in sessions is in "
        "%(apart)s: no foreign key, join or transaction can have both."
    ) % {"users": users, "apart": ", ".join(sorted(apart))}
    hint = _("Let DATABASE_ROUTERS keep the app cookieproj_devices in the database of the users.")
    return [Error(text, hint=hint, id="devices.E004")]


@register
def mixin_stands_where_the_password_is(**kwargs: Any) -> list[CheckMessage]:
    """Say that SignOutEverywhereMixin has no column of a password beside its own ones."""
    model: Any = get_user_model()
    if not counts_sign_outs() or stands_with_password(model):
        return []
    text = _("SignOutEverywhereMixin does not stand at the model that has the column password.")
    hint = _(
        "Put it before the bases of the model with that column, or leave it out: without it, "
        "signing out everywhere ends the sessions that the registry knows."
    )
    return [Error(text, hint=hint, obj=model, id="devices.E005")]


def stands_with_password(model: Any) -> bool:
    if not has_field("password"):
        # None has no column: nobody signs in by one. Anything else is kept somewhere else.
        return model.password is None
    owner = model._meta.get_field("sign_outs").model
    inherited = {each.name for parent in owner._meta.all_parents for each in parent._meta.fields}
    return password_model() is owner and "password" not in inherited


@register
def auth_is_there(**kwargs: Any) -> list[CheckMessage]:
    """Say so where users are of a model that needs none of its tables, as AbstractBaseUser is."""
    if apps.is_installed("django.contrib.auth"):
        return []
    text = _("Nobody can sign in without django.contrib.auth, which is not in INSTALLED_APPS.")
    hint = _("Add django.contrib.auth and django.contrib.contenttypes to INSTALLED_APPS.")
    return [Error(text, hint=hint, id="devices.E006")]


@register
def clearsessions_clears_the_registry(**kwargs: Any) -> list[CheckMessage]:
    """Warn where another app has the command first, that knows no registry."""
    first = get_commands().get("clearsessions")
    if first not in {"cookieproj.engines", "django.contrib.sessions"}:
        # Ours, or one of the site's own.
        return []
    text = _(
        "manage.py clearsessions does not clear the registry of signed-in sessions: %(app)s stands "
        "before cookieproj.devices, and has a command of that name."
    )
    hint = _(
        "List cookieproj.devices before cookieproj.engines, and both before "
        "django.contrib.sessions, in INSTALLED_APPS."
    )
    return [CheckWarning(text % {"app": first}, hint=hint, id="devices.W002")]


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
