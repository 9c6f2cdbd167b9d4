"""System checks of the settings that bind sessions to devices. Importing the module registers them.

None reports anything while DEVICES_BOUND is not set.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware as DjangoMiddleware
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from cookieproj.devices import conf
from cookieproj.engines.async_methods import AsyncMixin
from cookieproj.engines.engine_registry import current_engine
from cookieproj.engines.middleware import SessionMiddleware
from cookieproj.engines.validation import uses_middleware

from .admission import REGISTRATION_TIME
from .middleware import BoundSessionsMiddleware
from .registering import REGISTER, RENEW

MIDDLEWARE = "cookieproj.devices.bound.middleware.BoundSessionsMiddleware"

# Seconds.
SHORTEST_AGE = 300


@register
def bound_is_valid(**kwargs: Any) -> list[CheckMessage]:
    """Report a DEVICES_BOUND that is none of its values, no function, and no path of one."""
    values = {"value": getattr(settings, "DEVICES_BOUND", None)}
    try:
        value = conf.bound_or_function()
    except ImportError as error:
        text = _("DEVICES_BOUND = %(value)r cannot be imported: %(reason)s.")
        text %= values | {"reason": error}
    else:
        if value in (None, conf.OFFER, conf.REQUIRE) or callable(value):
            return []
        text = _("DEVICES_BOUND = %(value)r is not one of its values.") % values
    hint = _(
        'Set it to "%(offer)s", "%(require)s", None, a function that takes a user and returns one '
        "of them, or the dotted path of such a function."
    )
    names = {"offer": conf.OFFER, "require": conf.REQUIRE}
    return [Error(text, hint=hint % names, id="devices.E011")]


@register
def bound_is_set(**kwargs: Any) -> list[CheckMessage]:
    """Warn of a middleware without the setting, which may be misspelt: proof_now admits anybody."""
    if hasattr(settings, "DEVICES_BOUND") or not uses_middleware(MIDDLEWARE):
        return []
    text = _("%(middleware)s binds no session: DEVICES_BOUND is not set.")
    hint = _('Set it to "%(offer)s" or "%(require)s", or to None if that is meant.')
    names = {"offer": conf.OFFER, "require": conf.REQUIRE}
    return [CheckWarning(text % {"middleware": MIDDLEWARE}, hint=hint % names, id="devices.W010")]


@register
def bound_age_is_valid(**kwargs: Any) -> list[CheckMessage]:
    """Report a DEVICES_BOUND_AGE that is no number of seconds."""
    value: Any = getattr(settings, "DEVICES_BOUND_AGE", 1)
    if type(value) is int and value > 0:
        return []
    text = _("DEVICES_BOUND_AGE = %(value)r is not a number of seconds.") % {"value": value}
    return [Error(text, hint=_("Set it to a whole number, at least 1."), id="devices.E012")]


@register
def site_can_bind_sessions(**kwargs: Any) -> list[CheckMessage]:
    """Report what keeps a site that has set DEVICES_BOUND from binding sessions."""
    return list(obstacles()) if conf.binds_sessions() else []


def obstacles() -> Iterator[CheckMessage]:
    if not find_spec("jwt"):
        text = _("DEVICES_BOUND needs the package PyJWT.")
        yield Error(text, hint='pip install "cookieproj[bound]"', id="devices.E013")
    if not opens_bound_sessions_only_with_their_cookie():
        text = _("Nothing asks for the bound cookie of a session that is bound to a device.")
        hint = _(
            "List cookieproj.devices.bound.middleware.BoundSessionsMiddleware in MIDDLEWARE, "
            "before cookieproj.engines.middleware.SessionMiddleware, and run one of cookieproj's "
            "engines."
        )
        yield Error(text, hint=hint, id="devices.E014")
    try:
        reverse(RENEW)
    except NoReverseMatch:
        text = _("Browsers have no URL to which they can send the keys of their devices.")
        hint = 'path("devices/", include("cookieproj.devices.urls"))'
        yield Error(text, hint=hint, id="devices.E015")
    if settings.SESSION_COOKIE_DOMAIN:
        text = _(
            "DEVICES_BOUND binds a session to one host, and SESSION_COOKIE_DOMAIN sends its cookie "
            "to several: on the others it would not open."
        )
        yield Error(text, hint=_("Unset one of the two."), id="devices.E016")


def opens_bound_sessions_only_with_their_cookie() -> bool:
    """Whether our middleware stands before our SessionMiddleware, and the engine is ours."""
    middlewares = [middleware_at(path) for path in settings.MIDDLEWARE]
    ours, others = (
        [number for number, found in enumerate(middlewares) if is_a(found, parent)]
        for parent in (BoundSessionsMiddleware, DjangoMiddleware)
    )
    if not ours or not others:
        return False
    is_before = ours[0] < others[0]
    try:
        is_ours = issubclass(current_engine().session_class, AsyncMixin)
    except (ImportError, ImproperlyConfigured):
        # Another check reports the error.
        is_ours = True
    return is_before and is_ours and is_a(middlewares[others[0]], SessionMiddleware)


def middleware_at(path: str) -> Any:
    """Return the middleware at that path; None if it cannot be imported."""
    try:
        return import_string(path)
    except (ImportError, RuntimeError):
        return None


def is_a(middleware: Any, parent: type) -> bool:
    return isinstance(middleware, type) and issubclass(middleware, parent)


@register(Tags.security, deploy=True)
def bound_sessions_use_https(**kwargs: Any) -> list[CheckMessage]:
    """Warn if sessions are to be bound and their cookie is sent over http as well.

    The next check does so if they have to be.
    """
    is_secure = settings.SESSION_COOKIE_SECURE
    if not conf.binds_sessions() or is_secure or settings.DEVICES_BOUND == conf.REQUIRE:
        return []
    text = _("Browsers bind sessions over https alone, and SESSION_COOKIE_SECURE is off.")
    hint = _("Serve the site over https alone, and set SESSION_COOKIE_SECURE = True.")
    return [CheckWarning(text, hint=hint, id="devices.W005")]


@register(Tags.security)
def required_bindings_use_https(**kwargs: Any) -> list[CheckMessage]:
    """Warn if sessions have to be bound and users may sign in over http, in development too."""
    if getattr(settings, "DEVICES_BOUND", None) != conf.REQUIRE or settings.SESSION_COOKIE_SECURE:
        return []
    text = _(
        'DEVICES_BOUND = "require", and SESSION_COOKIE_SECURE is off: whoever signs in over http '
        "is signed out after %(seconds)d seconds, as browsers bind sessions over https alone."
    )
    hint = _("Serve the site over https alone, and set SESSION_COOKIE_SECURE = True.")
    values = {"seconds": REGISTRATION_TIME}
    return [CheckWarning(text % values, hint=hint, id="devices.W009")]


@register
def session_cookie_is_sent_to_the_views(**kwargs: Any) -> list[CheckMessage]:
    """Warn of a SESSION_COOKIE_PATH that leaves out the views that bind sessions.

    It is no error: a server may serve the site below a path that no setting names.
    """
    if not conf.binds_sessions():
        return []
    try:
        urls = [reverse(REGISTER), reverse(RENEW)]
    except NoReverseMatch:
        # Another check reports the error.
        return []
    path = settings.SESSION_COOKIE_PATH
    if all(is_sent_to(url, path) for url in urls):
        return []
    text = _(
        "DEVICES_BOUND binds no session: by SESSION_COOKIE_PATH = %(path)r browsers do not send "
        "the session's cookie to %(urls)s."
    )
    hint = _('Set it to "/", or include cookieproj.devices.urls below that path.')
    values = {"path": path, "urls": ", ".join(urls)}
    return [CheckWarning(text % values, hint=hint, id="devices.W008")]


def is_sent_to(url: str, path: str) -> bool:
    """Whether browsers send a cookie of that path to that URL (RFC 6265, section 5.1.4)."""
    return url == path or url.startswith(f"{path.removesuffix('/')}/")


@register(Tags.security)
def renewals_are_seldom(**kwargs: Any) -> list[CheckMessage]:
    """Warn of a DEVICES_BOUND_AGE at which browsers would refuse to renew."""
    age = getattr(settings, "DEVICES_BOUND_AGE", SHORTEST_AGE)
    if not conf.binds_sessions() or type(age) is not int or not 0 < age < SHORTEST_AGE:
        return []
    text = _(
        "DEVICES_BOUND_AGE = %(age)d: Chromium renews two minutes before the end, and refuses the "
        "sixth renewal within some minutes. Users would be locked out."
    )
    hint = _("Set it to at least %(age)d.") % {"age": SHORTEST_AGE}
    return [CheckWarning(text % {"age": age}, hint=hint, id="devices.W006")]


@register(Tags.security)
def challenges_are_used_once(**kwargs: Any) -> list[CheckMessage]:
    """Warn if sessions are in cookies, and the default cache cannot say which proofs were used."""
    if not conf.binds_sessions() or not has_sessions_in_cookies():
        return []
    backend = settings.CACHES.get("default", {}).get("BACKEND", "")
    if backend.rpartition(".")[2] not in {"DummyCache", "LocMemCache"}:
        return []
    text = _("A copied proof of a device's key may count twice: CACHES['default'] is %(backend)s.")
    hint = _("The sessions are in cookies. Let the default cache be one of all processes.")
    return [CheckWarning(text % {"backend": backend}, hint=hint, id="devices.W007")]


def has_sessions_in_cookies() -> bool:
    try:
        return current_engine().is_held_by_browser
    except (ImportError, ImproperlyConfigured):
        # Another check reports the error.
        return False
