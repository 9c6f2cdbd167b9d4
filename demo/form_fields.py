"""Form fields that check the names and values of cookies and sessions."""

import re
from datetime import timedelta
from http.cookies import Morsel
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from cookieproj.engines.cookie_checks import PREFIXES, prefix_of

from .constants import LOGIN_COOKIE, SECURE_LOGIN_COOKIE

# RFC 6265, section 4.1.1: a cookie's name is a token.
COOKIE_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# Printable ASCII without the semicolon, which would begin the next attribute.
COOKIE_ATTRIBUTE = re.compile(r"[ -:<-~]*")
# A host name, with or without the dot that RFC 6265 ignores before it, or an IP address.
DOMAIN = re.compile(r"\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]", re.IGNORECASE)
# The longest age of a cookie in seconds (the draft 6265bis, section 5.5).
MAX_COOKIE_AGE = 400 * 24 * 60 * 60
# Django appends the first after a form's label, unless the label ends with one of the second. Its
# own Chinese has no full-width punctuation, so these stand here for our catalogue.
LABEL_PUNCTUATION = (gettext_noop(":"), gettext_noop(":?.!"))


class CookieNameField(forms.CharField):
    """The name of a demo cookie. Rejects this site's own cookies and names that browsers drop.

    With ``takes_prefixes`` only the former: a cookie whose name has a prefix can be read.
    """

    def __init__(self, *, takes_prefixes: bool = False, **kwargs: Any) -> None:
        self.takes_prefixes = takes_prefixes
        super().__init__(label=_("Name"), max_length=100, strip=False, **kwargs)

    def clean(self, value: Any) -> str:
        name: str = super().clean(value)
        if not COOKIE_NAME.fullmatch(name):
            raise ValidationError(
                _("A cookie's name may only contain ASCII letters, digits and !#$%&'*+-.^_`|~.")
            )
        if Morsel().isReservedKey(name):
            raise ValidationError(
                _("“%(name)s” is the name of a cookie attribute."), params={"name": name}
            )
        if name in own_cookies():
            raise ValidationError(
                _("This site uses the cookie “%(name)s” itself; choose another name."),
                params={"name": name},
            )
        if not self.takes_prefixes and (prefix := prefix_of(name)):
            raise ValidationError(
                _(
                    "Browsers keep a cookie whose name begins with “%(prefix)s” only with "
                    "%(needs)s. The recipes under “Prefixes of names” set such cookies."
                ),
                params={"prefix": prefix, "needs": ", ".join(map(str, PREFIXES[prefix]))},
            )
        return name


def own_cookies() -> set[str]:
    """Return the cookies of this site. Setting them could sign somebody out, or in as another."""
    return {
        settings.SESSION_COOKIE_NAME,
        settings.CSRF_COOKIE_NAME,
        settings.LANGUAGE_COOKIE_NAME,
        LOGIN_COOKIE,
        SECURE_LOGIN_COOKIE,
        "messages",
    }


class CookieAttributeField(forms.CharField):
    """A path: printable ASCII without a semicolon."""

    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        if not COOKIE_ATTRIBUTE.fullmatch(text):
            raise ValidationError(_("Use only printable ASCII, without “;”."))
        return text


class DomainField(forms.CharField):
    """A domain, whether or not this site's host is below it: the browser decides that."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(label="domain", max_length=200, **kwargs)

    def clean(self, value: Any) -> str:
        domain: str = super().clean(value)
        if domain and not DOMAIN.fullmatch(domain):
            raise ValidationError(
                _(
                    "“%(domain)s” is no domain. A domain is names with one dot between them, such "
                    "as shop.example.test; each has only ASCII letters, digits, “-” and “_”."
                ),
                params={"domain": domain},
            )
        return domain


class MaxAgeField(forms.IntegerField):
    """An age in seconds. Zero and negative values are valid: they delete the cookie."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            label="max_age",
            min_value=-MAX_COOKIE_AGE,
            max_value=MAX_COOKIE_AGE,
            help_text=_(
                "Seconds; 0 or less deletes the cookie. Browsers keep a cookie for at most 400 "
                "days."
            ),
            **kwargs,
        )


class ExpiryField(forms.DateTimeField):
    """A time up to 400 days before or after now."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            help_text=_("UTC, year-month-day hour:minute, at most 400 days before or after now."),
            initial=tomorrow,
            **kwargs,
        )

    def clean(self, value: Any) -> Any:
        expiry = super().clean(value)
        if expiry and abs(expiry - timezone.now()) > timedelta(seconds=MAX_COOKIE_AGE):
            raise ValidationError(_("This is more than 400 days before or after now."))
        return expiry


def tomorrow() -> str:
    return f"{timezone.now() + timedelta(days=1):%Y-%m-%d %H:%M}"


class SessionKeyField(forms.CharField):
    """A key of the session's dictionary that a recipe may change.

    Rejects keys that sign somebody in: Django's begin with an underscore, and the sign-in by
    hand uses ``uid`` and ``username``. Also rejects keys to which other recipes assign a list,
    a number or an order.
    """

    RESERVED = (
        "uid",
        "username",
        "cart",
        "visits",
        "saved_lines",
        "unsaved_lines",
        "order",
        "paid",
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(label=_("Key"), max_length=50, initial="color", **kwargs)

    def clean(self, value: Any) -> str:
        key: str = super().clean(value)
        if key.startswith("_") or key in self.RESERVED:
            raise ValidationError(
                _("“%(key)s” is used for signing in or by another recipe; choose another key."),
                params={"key": key},
            )
        return key
