"""What can be seen of this site: settings, engine, middleware, apps, addresses and templates."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import ImproperlyConfigured
from django.template import TemplateDoesNotExist
from django.template.base import Node, Template, TokenType
from django.template.loader import get_template
from django.template.loader_tags import ExtendsNode, IncludeNode
from django.urls import URLPattern, get_resolver, reverse
from django.urls.exceptions import NoReverseMatch

from cookieproj.engines.constants import DB, OUR_ENGINES
from cookieproj.engines.cookie_sessions import CookieSession
from cookieproj.engines.engine_registry import current_engine
from cookieproj.engines.revocation_check import revocation_check
from cookieproj.engines.timeout_checks import OUR_MIDDLEWARE, timeouts_or_none
from cookieproj.engines.timeouts import TimeoutsMixin
from cookieproj.engines.validation import AUTH_MIDDLEWARE, uses_middleware

DEVICES = "cookieproj.devices"
DJANGO_MIDDLEWARE = "django.contrib.sessions.middleware.SessionMiddleware"

# Apps and middleware by which users are signed in through another site, or it through this one.
FEDERATION_APPS = (
    "allauth.socialaccount",
    "allauth.idp.oidc",
    "django_auth_adfs",
    "djangosaml2",
    "mozilla_django_oidc",
    "oauth2_provider",
    "oidc_provider",
    "social_django",
)
REMOTE_USER = "django.contrib.auth.middleware.RemoteUserMiddleware"
# Apps with a second factor, which Django's session hash does not cover.
FACTOR_APPS = ("allauth.mfa", "django_otp", "mfa")
# Apps with tokens that stay the same from one session to the next.
TOKEN_APPS = ("knox", "rest_framework.authtoken")

# What a decorator that asks for the password sets on the view.
ASKS_FOR_PASSWORD = "asks_for_password"  # noqa: S105 - a name
# A template of a site's own base with this tag has a button to sign out.
SIGN_OUT_TAG = "sign_out_button"


def session_class() -> type[SessionBase]:
    return current_engine().session_class


def our_counterpart() -> str:
    """Return the path of our engine that takes the place of the running one."""
    path = current_engine().of(OUR_ENGINES).path
    return path if path.startswith(OUR_ENGINES) else OUR_ENGINES + DB


def with_middleware(path: str) -> str:
    """Return the assignment that adds this middleware to the others."""
    return f'MIDDLEWARE = [..., "{path}", ...]'


def missing_for_timeouts() -> list[str]:
    """Return the settings without which SESSION_IDLE_AGE and SESSION_ABSOLUTE_AGE do nothing."""
    missing = []
    if not issubclass(session_class(), TimeoutsMixin):
        missing.append(f'SESSION_ENGINE = "{our_counterpart()}"')
    if not uses_middleware(OUR_MIDDLEWARE):
        missing.append(with_middleware(OUR_MIDDLEWARE))
    return missing


def idle_age() -> int | None:
    """Return after how many seconds without a request a session ends; None for never.

    SESSION_SAVE_EVERY_REQUEST makes an idle timeout of SESSION_COOKIE_AGE, on every engine.
    """
    if (idle := timeouts_or_none().idle) and not missing_for_timeouts():
        return idle
    return settings.SESSION_COOKIE_AGE if settings.SESSION_SAVE_EVERY_REQUEST else None


def absolute_age() -> int | None:
    """Return how many seconds after the sign-in a session ends; None for never."""
    return timeouts_or_none().absolute if not missing_for_timeouts() else None


def has_session_middleware() -> bool:
    return uses_middleware(DJANGO_MIDDLEWARE)


def has_users() -> bool:
    return uses_middleware(AUTH_MIDDLEWARE)


def hash_ends_sessions() -> bool:
    """Whether a new password ends the sessions of before, by Django's session hash."""
    return has_users() and hasattr(get_user_model(), "get_session_auth_hash")


def ends_what_browsers_keep() -> bool:
    """Whether the server can end a session, also where the browser holds all of it."""
    if not current_engine().is_held_by_browser:
        return True
    try:
        return issubclass(session_class(), CookieSession) and revocation_check() is not None
    except ImproperlyConfigured:
        return False


def remedy_for_browsers() -> list[str]:
    """Return the settings by which ``ends_what_browsers_keep`` becomes true."""
    remedy = [f'SESSION_REVOCATION_CHECK = "{DEVICES}.revocation.is_revoked"']
    if not issubclass(session_class(), CookieSession):
        remedy.insert(0, f'SESSION_ENGINE = "{our_counterpart()}"')
    return remedy


def installed(names: tuple[str, ...]) -> list[str]:
    """Return which of these apps are installed."""
    return [name for name in names if apps.is_installed(name)]


def federation() -> list[str]:
    """Return the apps and middleware by which other sites sign users in."""
    return installed(FEDERATION_APPS) + [REMOTE_USER] * uses_middleware(REMOTE_USER)


def has_devices() -> bool:
    return apps.is_installed(DEVICES)


def devices_page() -> str:
    """Return the address of the devices page; "" if the URLconf does not have it."""
    try:
        return reverse("cookieproj_devices:list") if has_devices() else ""
    except NoReverseMatch:
        return ""


def ends_sessions_of_others() -> bool:
    """Whether a user's sessions can be ended from elsewhere, at least all of them at once."""
    return ends_what_browsers_keep() or (has_devices() and hasattr(get_user_model(), "sign_outs"))


def asks_password_after() -> int | None:
    """Return DEVICES_ASK_PASSWORD_AFTER; None if it is no number, or no devices app reads it."""
    seconds = getattr(settings, "DEVICES_ASK_PASSWORD_AFTER", None) if has_devices() else None
    return seconds if type(seconds) is int and seconds >= 0 else None


def patterns() -> Iterator[tuple[str, URLPattern, bool]]:
    """Yield the route of each address of this site, its pattern, and whether it is the admin's."""

    def walk(found: Any, prefix: str, is_admin: bool) -> Iterator[tuple[str, URLPattern, bool]]:
        for pattern in found:
            route = prefix + str(pattern.pattern)
            if isinstance(pattern, URLPattern):
                yield route, pattern, is_admin
            else:
                yield from walk(
                    pattern.url_patterns, route, is_admin or pattern.app_name == "admin"
                )

    return walk(get_resolver().url_patterns, "/", is_admin=False)


def views() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the route of each address of this site, with its view; without the admin's."""
    return ((route, pattern.callback) for route, pattern, is_admin in patterns() if not is_admin)


def admin_views_of_users() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the routes at which staff change a user in the admin, with their views."""
    user = get_user_model()._meta
    name = f"{user.app_label}_{user.model_name}_change"
    return (
        (route, pattern.callback)
        for route, pattern, is_admin in patterns()
        if is_admin and pattern.name == name
    )


def asks_for_password(view: Any) -> bool:
    """Whether the view, or its class, is marked as asking for the password again."""
    return getattr(getattr(view, "view_class", view), ASKS_FOR_PASSWORD, False) is True


def has_sign_out_button(name: str) -> bool:
    """Whether the template, or one that it extends or includes, has the tag of the button.

    Templates of the devices app do not count: other pages of the site do not use them.
    """
    try:
        templates = list(with_parents(name, set()))
    except TemplateDoesNotExist:
        return False
    folder = apps.get_app_config("cookieproj_devices").path if has_devices() else ""
    return any(
        has_tag(template) and not (folder and Path(template.origin.name).is_relative_to(folder))
        for template in templates
    )


def has_tag(template: Template) -> bool:
    """Whether the template has the tag of the button; a comment with its name does not count."""
    nodes: list[Any] = template.nodelist.get_nodes_by_type(Node)
    return any(
        node.token.token_type is TokenType.BLOCK and node.token.split_contents()[0] == SIGN_OUT_TAG
        for node in nodes
    )


def with_parents(name: str, seen: set[str]) -> Iterator[Template]:
    """Yield the template, and those that it extends or includes by a name in quotes."""
    if name in seen:
        return
    seen.add(name)
    template = getattr(get_template(name), "template", None)
    # Templates of Jinja2 have no such nodes.
    if not isinstance(template, Template):
        return
    yield template
    parents: list[Any] = template.nodelist.get_nodes_by_type(ExtendsNode)
    parts: list[Any] = template.nodelist.get_nodes_by_type(IncludeNode)
    for expression in [*(node.parent_name for node in parents), *(node.template for node in parts)]:
        if isinstance(expression.var, str):
            yield from with_parents(expression.var, seen)
