"""Every SESSION_ setting of Django: its value now, its default, what it does."""

from dataclasses import dataclass
from typing import Any

from django.conf import global_settings, settings
from django.utils.translation import gettext_lazy as _

MEANING = {
    "SESSION_CACHE_ALIAS": _("Which of CACHES holds sessions, on cache and cached_db."),
    "SESSION_COOKIE_AGE": _("Seconds a session lives after its last change."),
    "SESSION_COOKIE_DOMAIN": _("Set it to share the cookie with subdomains; None is this host."),
    "SESSION_COOKIE_HTTPONLY": _("Scripts do not see the cookie."),
    "SESSION_COOKIE_NAME": _("What the cookie is called."),
    "SESSION_COOKIE_PATH": _("Below which path the browser sends it."),
    "SESSION_COOKIE_SAMESITE": _("Whether requests that other sites cause carry it."),
    "SESSION_COOKIE_SECURE": _("The cookie travels by https only."),
    "SESSION_ENGINE": _("Where sessions live."),
    "SESSION_EXPIRE_AT_BROWSER_CLOSE": _("Cookies without an age, which end with the browser."),
    "SESSION_FILE_PATH": _("The folder of the file engine; None is the system's temporary one."),
    "SESSION_SAVE_EVERY_REQUEST": _("Save, and move the expiry, even when nothing changed."),
    "SESSION_SERIALIZER": _("How a session becomes text; JSON, since pickle can run code."),
}


@dataclass(frozen=True)
class SessionSetting:
    name: str
    value: Any
    default: Any
    meaning: Any

    @property
    def is_changed(self) -> bool:
        return bool(self.value != self.default)


def session_settings() -> list[SessionSetting]:
    return [
        SessionSetting(name, shown(name), getattr(global_settings, name), meaning)
        for name, meaning in MEANING.items()
    ]


def shown(name: str) -> Any:
    """A public page does not tell where on its server a folder lies."""
    value = getattr(settings, name)
    if name == "SESSION_FILE_PATH" and not settings.DEBUG:
        return _("not shown")
    return str(value) if name == "SESSION_FILE_PATH" else value
