"""The app's system checks, ``devices.E…``, ``devices.W…`` and ``devices.I…``.

Importing the module registers them.
"""

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

# The packages of the extra ``devices``, by the modules that they install.
REQUIRED_PACKAGES = {"cryptography": "cryptography", "ua_parser": "ua-parser"}


@register
def middleware_is_installed(**kwargs: Any) -> list[CheckMessage]:
    """Report a missing DevicesMiddleware, or one before AuthenticationMiddleware."""
    ours = [path for path in settings.MIDDLEWARE if is_devices_middleware(path)]
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


def is_devices_middleware(path: str) -> bool:
    try:
        middleware = import_string(path)
    except (ImportError, RuntimeError):
        # A RuntimeError: its module imports models of an app that is not installed.
        return False
    return isinstance(middleware, type) and issubclass(middleware, DevicesMiddleware)


@register
def packages_are_installed(**kwargs: Any) -> list[CheckMessage]:
    """Report missing packages of the extra ``devices``."""
    missing = [package for module, package in REQUIRED_PACKAGES.items() if not find_spec(module)]
    if not missing:
        return []
    text = _("cookieproj.devices needs %(packages)s.") % {"packages": ", ".join(missing)}
    hint = 'pip install "cookieproj[devices]"'
    return [Error(text, hint=hint, id="devices.E003")]


@register
def users_are_in_the_same_database(**kwargs: Any) -> list[CheckMessage]:
    """Report that DATABASE_ROUTERS put the registry and the users in different databases."""
    users_database = router.db_for_write(get_user_model())
    registry_databases = {router.db_for_write(model) for model in (SignedInSession, RefusedSession)}
    others = registry_databases - {users_database}
    if not others:
        return []
    text = _(
        "The users are in the database %(users)s, and the registry of signed-in sessions is in "
        "%(apart)s: no foreign key, join or transaction can have both."
    ) % {"users": users_database, "apart": ", ".join(sorted(others))}
    hint = _("Let DATABASE_ROUTERS keep the app cookieproj_devices in the database of the users.")
    return [Error(text, hint=hint, id="devices.E004")]


@register
def mixin_stands_where_the_password_is(**kwargs: Any) -> list[CheckMessage]:
    """Report that SignOutEverywhereMixin is not in the model that has the password column."""
    model: Any = get_user_model()
    if not counts_sign_outs() or has_mixin_and_password_together(model):
        return []
    text = _("SignOutEverywhereMixin does not stand at the model that has the column password.")
    hint = _(
        "Put it before the bases of the model with that column, or leave it out: without it, "
        "signing out everywhere ends the sessions that the registry knows."
    )
    return [Error(text, hint=hint, obj=model, id="devices.E005")]


def has_mixin_and_password_together(model: Any) -> bool:
    """Whether one table has the columns of the mixin and of the password, or there is none."""
    if not has_field("password"):
        # ``password = None`` means that nobody signs in with a password. Otherwise it is stored
        # outside the user model.
        return model.password is None
    owner = model._meta.get_field("sign_outs").model
    inherited_names = {
        field.name for parent in owner._meta.all_parents for field in parent._meta.fields
    }
    return password_model() is owner and "password" not in inherited_names


@register
def auth_is_installed(**kwargs: Any) -> list[CheckMessage]:
    """Report a missing django.contrib.auth.

    Django itself does not, if the user model needs none of its tables, as with AbstractBaseUser.
    """
    if apps.is_installed("django.contrib.auth"):
        return []
    text = _("Nobody can sign in without django.contrib.auth, which is not in INSTALLED_APPS.")
    hint = _("Add django.contrib.auth and django.contrib.contenttypes to INSTALLED_APPS.")
    return [Error(text, hint=hint, id="devices.E006")]


@register
def clearsessions_clears_the_registry(**kwargs: Any) -> list[CheckMessage]:
    """Warn if ``clearsessions`` is another app's command, which does not clear the registry."""
    app = get_commands().get("clearsessions")
    if app not in {"cookieproj.engines", "django.contrib.sessions"}:
        # The command is ours, or one of the site's own.
        return []
    text = _(
        "manage.py clearsessions does not clear the registry of signed-in sessions: %(app)s stands "
        "before cookieproj.devices, and has a command of that name."
    )
    hint = _(
        "List cookieproj.devices before cookieproj.engines, and both before "
        "django.contrib.sessions, in INSTALLED_APPS."
    )
    return [CheckWarning(text % {"app": app}, hint=hint, id="devices.W002")]


@register(Tags.security)
def sessions_in_cookies_can_be_ended(**kwargs: Any) -> list[CheckMessage]:
    """Warn if a copied cookie opens a session that its user has signed out."""
    try:
        engines = [engine for engine in (current_engine(), previous()) if engine]
        uses_cookies = any(issubclass(engine.session_class, CookieSession) for engine in engines)
        has_revocation_check = revocation_check() is not None
    except (ImportError, ImproperlyConfigured):
        # Another check reports the error.
        return []
    if not uses_cookies or has_revocation_check:
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
    """Mention that without SignOutEverywhereMixin only registered sessions can be ended."""
    if counts_sign_outs():
        return []
    return [
        Info(
            _("Signing out everywhere ends the sessions that the registry knows, one by one."),
            hint=_("With SignOutEverywhereMixin in the user model it ends all of them at once."),
            id="devices.I001",
        )
    ]
