"""Form fields that know what a cookie and a session may hold."""

import re
from datetime import timedelta
from http.cookies import Morsel
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cookieproj.engines.cookie_checks import PREFIXES, prefix_of

from .constants import LOGIN_COOKIE

# RFC 6265, section 4.1.1: a cookie's name is a token.
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# No attribute of a cookie may hold these; a semicolon would begin the next attribute.
ATTRIBUTE = re.compile(r"[ -:<-~]*")
# The age at which browsers stop counting (RFC 6265bis, section 5.5), in seconds.
OLDEST = 400 * 24 * 60 * 60


class CookieNameField(forms.CharField):
    """The name of a demonstration cookie: none of this site's own, none that a browser drops."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(label=_("Name"), max_length=100, strip=False, **kwargs)

    def clean(self, value: Any) -> str:
        name: str = super().clean(value)
        if not TOKEN.fullmatch(name):
            raise ValidationError(
                _("A cookie's name takes ASCII letters, digits and !#$%&'*+-.^_`|~ only.")
            )
        if Morsel().isReservedKey(name):
            raise ValidationError(_("“%(name)s” is an attribute's name."), params={"name": name})
        if name in own_cookies():
            raise ValidationError(
                _("“%(name)s” is a cookie this site needs for itself; take another name."),
                params={"name": name},
            )
        if prefix := prefix_of(name):
            raise ValidationError(
                _(
                    "Browsers keep a name with the prefix “%(prefix)s” only over https, and with "
                    "%(needs)s."
                ),
                params={"prefix": prefix, "needs": ", ".join(map(str, PREFIXES[prefix]))},
            )
        return name


def own_cookies() -> set[str]:
    """Names that would sign somebody out, or in as somebody else, were they free to set."""
    return {
        settings.SESSION_COOKIE_NAME,
        settings.CSRF_COOKIE_NAME,
        settings.LANGUAGE_COOKIE_NAME,
        LOGIN_COOKIE,
        "messages",
    }


class CookieAttributeField(forms.CharField):
    """A path or a domain: printable ASCII without a semicolon."""

    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        if not ATTRIBUTE.fullmatch(text):
            raise ValidationError(_("Printable ASCII without “;” only."))
        return text


class MaxAgeField(forms.IntegerField):
    """Seconds. Zero and less are right: they delete the cookie."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            label="max_age",
            min_value=-OLDEST,
            max_value=OLDEST,
            help_text=_(
                "Seconds; 0 or less deletes the cookie. Browsers keep none for over 400 days."
            ),
            **kwargs,
        )


class MomentField(forms.DateTimeField):
    """A moment within 400 days from now, either way."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            help_text=_("UTC, year-month-day hour:minute, within 400 days from now."),
            initial=tomorrow,
            **kwargs,
        )

    def clean(self, value: Any) -> Any:
        moment = super().clean(value)
        if moment and abs(moment - timezone.now()) > timedelta(seconds=OLDEST):
            raise ValidationError(_("Take a moment within 400 days from now."))
        return moment


def tomorrow() -> str:
    return f"{timezone.now() + timedelta(days=1):%Y-%m-%d %H:%M}"


class SessionKeyField(forms.CharField):
    """A key of the session's dictionary that the recipes may touch.

    Keys that sign somebody in are not for typing: Django's begin with an
    underscore, and ``uid`` and ``username`` are those of the sign-in by hand.
    Nor are those that other recipes fill with a list or a number.
    """

    RESERVED = ("uid", "username", "cart", "visits")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(label=_("Key"), max_length=50, initial="color", **kwargs)

    def clean(self, value: Any) -> str:
        key: str = super().clean(value)
        if key.startswith("_") or key in self.RESERVED:
            raise ValidationError(
                _("“%(key)s” belongs to signing in or to another recipe; take another key."),
                params={"key": key},
            )
        return key
