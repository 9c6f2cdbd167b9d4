"""The SESSION_ settings of Django and of this project: value, default and effect of each."""

from dataclasses import dataclass
from typing import Any

from django.conf import global_settings, settings
from django.utils.translation import gettext_lazy as _

MEANING = {
    "SESSION_CACHE_ALIAS": _("Which of CACHES the engines cache and cached_db use."),
    "SESSION_COOKIE_AGE": _("Seconds from the last change of a session to its expiry."),
    "SESSION_COOKIE_DOMAIN": _(
        "With a domain, the cookie is also sent to its subdomains; None means this host only."
    ),
    "SESSION_COOKIE_HTTPONLY": _("Whether the cookie is hidden from scripts."),
    "SESSION_COOKIE_NAME": _("Name of the cookie."),
    "SESSION_COOKIE_PATH": _("Path below which the browser sends the cookie."),
    "SESSION_COOKIE_SAMESITE": _("Which requests from other sites send the cookie."),
    "SESSION_COOKIE_SECURE": _("Whether the cookie is sent over https only."),
    "SESSION_ENGINE": _("The session engine, which decides where sessions are stored."),
    "SESSION_EXPIRE_AT_BROWSER_CLOSE": _(
        "Whether the cookie has no age: it ends when the browser closes, unless the browser "
        "restores its tabs."
    ),
    "SESSION_FILE_PATH": _("Folder of the file engine; None means the system's temporary folder."),
    "SESSION_SAVE_EVERY_REQUEST": _(
        "Whether every request saves the session and extends its expiry, even without a change."
    ),
    "SESSION_SERIALIZER": _(
        "How a session is serialized: JSON by default, because pickle can run code."
    ),
}


# Of the settings that Django does not know: the default, and what the setting does.
OWN = {
    "SESSION_IDLE_AGE": (None, _("Seconds without a request after which a session ends.")),
    "SESSION_ABSOLUTE_AGE": (None, _("Seconds after the sign-in at which a session ends.")),
    "SESSION_RENEW_AGE": (None, _("Seconds after which a session gets a new key.")),
    "SESSION_END_COPIED": (
        False,
        _("Whether a session ends when a key from before a renewal is used again."),
    ),
    "SESSION_ID_SIGNED": (False, _("Whether the session key in the cookie is signed.")),
    "SESSION_HANDOVER_FROM": (
        "",
        _("The previous engine, whose sessions are taken over when they are next used."),
    ),
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
        SessionSetting(name, shown_value(name), getattr(global_settings, name), meaning)
        for name, meaning in MEANING.items()
    ]


def own_settings() -> list[SessionSetting]:
    """Return the settings of this project's engines, of which Django's take no notice."""
    return [
        SessionSetting(name, getattr(settings, name, default), default, meaning)
        for name, (default, meaning) in OWN.items()
    ]


def shown_value(name: str) -> Any:
    """Return the setting's value. A public page does not show a folder of the server."""
    value = getattr(settings, name)
    if name == "SESSION_FILE_PATH" and not settings.DEBUG:
        return _("not shown")
    return str(value) if name == "SESSION_FILE_PATH" else value
