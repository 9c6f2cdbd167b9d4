"""The cookies that Django sets for this site by its settings."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.utils.module_loading import import_string

from cookieproj.engines.cookie_checks import prefix_of
from cookieproj.engines.validation import MESSAGE_MIDDLEWARE, uses_middleware

CSRF_MIDDLEWARE = "django.middleware.csrf.CsrfViewMiddleware"
LOCALE_MIDDLEWARE = "django.middleware.locale.LocaleMiddleware"
IN_THE_SESSION = "django.contrib.messages.storage.session.SessionStorage"


@dataclass(frozen=True)
class SiteCookie:
    # The beginning of the names of its settings.
    family: str
    name: str
    # How its name is changed, if not by a setting of its own.
    renamed_by: str = ""

    def setting(self, attribute: str) -> Any:
        return getattr(settings, f"{self.family}_{attribute}")

    @property
    def prefix(self) -> str:
        return prefix_of(self.name)

    @property
    def is_shared(self) -> bool:
        """Whether it is explicitly for other hosts as well."""
        return bool(self.setting("DOMAIN"))

    def to_set(self, attribute: str, value: object) -> str:
        """Return the assignment, as in a settings module."""
        return f"{self.family}_{attribute} = {value!r}".replace("'", '"')

    def to_rename(self) -> str:
        """Return the assignment that gives its name the prefix."""
        prefix = "__Secure-" if self.is_shared else "__Host-"
        return self.renamed_by or self.to_set("NAME", prefix + self.name.removeprefix("__Secure-"))


def session_cookie() -> SiteCookie:
    return SiteCookie("SESSION_COOKIE", settings.SESSION_COOKIE_NAME)


def cookies() -> list[SiteCookie]:
    """Return the cookies that Django sets with these settings and this middleware."""
    found = [session_cookie()]
    if uses_middleware(CSRF_MIDDLEWARE) and not settings.CSRF_USE_SESSIONS:
        found.append(SiteCookie("CSRF_COOKIE", settings.CSRF_COOKIE_NAME))
    if uses_middleware(LOCALE_MIDDLEWARE):
        found.append(SiteCookie("LANGUAGE_COOKIE", settings.LANGUAGE_COOKIE_NAME))
    if uses_middleware(MESSAGE_MIDDLEWARE) and (name := messages_cookie()):
        remedy = f'MESSAGE_STORAGE = "{IN_THE_SESSION}"'
        found.append(SiteCookie("SESSION_COOKIE", name, remedy))
    return found


def messages_cookie() -> str:
    """Return the name of the cookie with Django's messages; "" if they are kept elsewhere."""
    storage = import_string(settings.MESSAGE_STORAGE)
    classes = storage.storage_classes if issubclass(storage, FallbackStorage) else (storage,)
    in_cookies = [each for each in classes if issubclass(each, CookieStorage)]
    return in_cookies[0].cookie_name if in_cookies else ""
