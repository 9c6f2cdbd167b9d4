"""System checks for cookies that a browser refuses, or need not keep, by their settings alone.

The server is never told: people cannot sign in, or each form of theirs is a 403. The rules
are those of RFC 6265bis (draft-ietf-httpbis-rfc6265bis): prefixes of names in 4.1.3 and 5.7,
SameSite in 5.7, Domain in 5.1.3 and 5.7; of its successor,
draft-ietf-httpbis-layered-cookies, for ``__Http-`` and ``__Host-Http-``; and the 4,096 bytes
of RFC 6265, 6.1. The settings are in Django's documentation, ref/settings.
"""

import re
from collections.abc import Iterator
from http.cookies import CookieError, Morsel
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.middleware.csrf import CSRF_SECRET_LENGTH
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .cookie_sessions import COOKIE_BYTES, cookie_from_settings
from .session_keys import KEY_LENGTH

SECURE, HTTPONLY, ROOT, NO_DOMAIN = "Secure", "HttpOnly", "Path=/", gettext_lazy("no Domain")

# What a browser asks of a cookie by its name: the longest prefix counts.
PREFIXES: dict[str, tuple[str | Promise, ...]] = {
    "__Host-Http-": (SECURE, HTTPONLY, ROOT, NO_DOMAIN),
    "__Host-": (SECURE, ROOT, NO_DOMAIN),
    "__Http-": (SECURE, HTTPONLY),
    "__Secure-": (SECURE,),
}

# Django's, with DEBUG on and ALLOWED_HOSTS empty.
LOCAL_HOSTS = [".localhost", "127.0.0.1", "[::1]"]

HOST_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
ADDRESS = re.compile(r"[0-9.]+|\[.*\]")

# Letters of a name in a message.
SHOWN = 60


def prefix_of(name: str) -> str:
    """The prefix of PREFIXES with which that name begins, in whichever letters; or nothing."""
    begins = name.lower().startswith
    return next((prefix for prefix in PREFIXES if begins(prefix.lower())), "")


@register(Tags.security)
def cookies_are_kept(**kwargs: Any) -> list[CheckMessage]:
    """Say which cookies of Django's own a browser refuses."""
    made = {"SESSION_COOKIE": "k" * KEY_LENGTH}
    if not settings.CSRF_USE_SESSIONS:
        made["CSRF_COOKIE"] = "k" * CSRF_SECRET_LENGTH
    if settings.USE_I18N:
        made["LANGUAGE_COOKIE"] = max((code for code, _name in settings.LANGUAGES), key=len)
    return [error for name, value in made.items() for error in check_settings(name, value)]


def check_settings(family: str, value: str) -> list[CheckMessage]:
    """Of the cookie whose settings begin with ``family``, with a value of at least that length."""
    source = f"{family}_*"
    try:
        cookie = cookie_from_settings(family, value, getattr(settings, f"{family}_AGE"))
    except (CookieError, ValueError) as error:
        return [refused("E005", str(error), source)]
    return check_cookie(cookie, source)


def check_cookie(cookie: Morsel[str], source: str) -> list[CheckMessage]:
    """Of a cookie as it would be set; ``source`` says where somebody can change that."""
    return [refused(number, reason, source) for number, reason in reasons(cookie)]


def refused(number: str, reason: str, source: str) -> CheckMessage:
    return Error(reason, hint=_("Change %(source)s.") % {"source": source}, id=f"cookies.{number}")


def reasons(cookie: Morsel[str]) -> Iterator[tuple[str, str]]:
    """Why a browser refuses it, each with the number of its check."""
    name, domain, size = cookie.key, cookie["domain"], len(cookie.OutputString().encode())
    if len(name) > SHOWN:
        name = f"{name[:SHOWN]}…"
    if lacks := lacking(cookie):
        yield (
            "E001",
            _("Browsers refuse the cookie %(name)s: its prefix requires %(lacks)s.")
            % {"name": name, "lacks": ", ".join(map(str, lacks))},
        )
    if cookie["samesite"].lower() == "none" and not cookie["secure"]:
        yield (
            "E002",
            _("Browsers refuse the cookie %(name)s: SameSite=None needs Secure.") % {"name": name},
        )
    if domain and not is_ours(domain):
        yield (
            "E003",
            _(
                "Browsers refuse the cookie %(name)s: no host in ALLOWED_HOSTS may set cookies "
                "for the domain %(domain)s."
            )
            % {"name": name, "domain": domain},
        )
    if size > COOKIE_BYTES:
        yield (
            "E004",
            _(
                "Browsers may drop the cookie %(name)s: it takes %(size)d bytes with its "
                "attributes, and browsers need keep only %(limit)d."
            )
            % {"name": name, "size": size, "limit": COOKIE_BYTES},
        )


def lacking(cookie: Morsel[str]) -> list[str | Promise]:
    """What its prefix asks for and it has not."""
    has: dict[str | Promise, bool] = {
        SECURE: bool(cookie["secure"]),
        HTTPONLY: bool(cookie["httponly"]),
        ROOT: cookie["path"] == "/",
        NO_DOMAIN: not cookie["domain"],
    }
    return [wanted for wanted in PREFIXES.get(prefix_of(cookie.key), ()) if not has[wanted]]


def is_ours(domain: str) -> bool:
    """Whether there is a host of this site from which a browser takes a cookie for the domain.

    That is the host itself, or a domain above it. One of a single label, such as ``com``, is
    anybody's (a public suffix), unless it is the very host. Other public suffixes, such as
    ``co.uk``, are not known here; with ``*`` in ALLOWED_HOSTS nor are the site's hosts.
    """
    domain = domain.lower().removeprefix(".")
    hosts = settings.ALLOWED_HOSTS or (LOCAL_HOSTS if settings.DEBUG else ["*"])
    return bool(HOST_NAME.fullmatch(domain)) and any(takes(host.lower(), domain) for host in hosts)


def takes(pattern: str, domain: str) -> bool:
    """Whether a host that this one of ALLOWED_HOSTS stands for may set cookies for the domain."""
    host = pattern.removeprefix(".")
    if pattern == "*":
        return "." in domain or domain == "localhost"
    if host == domain:
        return True
    if "." not in domain or ADDRESS.fullmatch(host):
        return False
    is_above = host.endswith(f".{domain}")
    return is_above or (pattern.startswith(".") and domain.endswith(f".{host}"))
