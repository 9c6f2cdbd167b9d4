"""System checks for cookies that browsers refuse, or may drop, because of their settings alone.

The server does not notice: people cannot sign in, or each of their forms is a response of 403. The
rules are those of RFC 6265bis (draft-ietf-httpbis-rfc6265bis): prefixes of names in 4.1.3 and 5.7,
SameSite in 5.7, Domain in 5.1.3 and 5.7; of its successor, draft-ietf-httpbis-layered-cookies, for
``__Http-`` and ``__Host-Http-``; and of RFC 6265, 6.1, for the 4,096 bytes. Django's documentation
of the settings is ref/settings.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from http.cookies import CookieError, Morsel
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.middleware.csrf import CSRF_SECRET_LENGTH
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .cookie_settings import MAX_COOKIE_BYTES, cookie_from_settings
from .session_keys import KEY_LENGTH

SECURE, HTTPONLY, ROOT, NO_DOMAIN = "Secure", "HttpOnly", "Path=/", gettext_lazy("no Domain")

# The attributes that a browser requires for a prefix of the name. The longest prefix counts.
PREFIXES: dict[str, tuple[str | Promise, ...]] = {
    "__Host-Http-": (SECURE, HTTPONLY, ROOT, NO_DOMAIN),
    "__Host-": (SECURE, ROOT, NO_DOMAIN),
    "__Http-": (SECURE, HTTPONLY),
    "__Secure-": (SECURE,),
}

# Django's own ALLOWED_HOSTS if DEBUG is on and the setting is empty.
LOCAL_HOSTS = [".localhost", "127.0.0.1", "[::1]"]

HOST_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
ADDRESS = re.compile(r"[0-9.]+|\[.*\]")

# The most characters of a name that a message shows.
MAX_NAME_SHOWN = 60


def prefix_of(name: str) -> str:
    """Return the prefix of PREFIXES with which that name begins, in any case; else ""."""
    starts_with = name.lower().startswith
    return next((prefix for prefix in PREFIXES if starts_with(prefix.lower())), "")


@register(Tags.security)
def cookies_are_kept(**kwargs: Any) -> list[CheckMessage]:
    """Report which of Django's own cookies browsers refuse."""
    values = {"SESSION_COOKIE": "k" * KEY_LENGTH}
    if not settings.CSRF_USE_SESSIONS:
        values["CSRF_COOKIE"] = "k" * CSRF_SECRET_LENGTH
    if settings.USE_I18N:
        values["LANGUAGE_COOKIE"] = max((code for code, _name in settings.LANGUAGES), key=len)
    return [error for name, value in values.items() for error in check_settings(name, value)]


def check_settings(family: str, value: str) -> list[CheckMessage]:
    """Check the cookie whose settings begin with ``family``, with a value at least that long."""
    source = f"{family}_*"
    try:
        cookie = cookie_from_settings(family, value, getattr(settings, f"{family}_AGE"))
    except (CookieError, ValueError) as error:
        return [refused("E005", str(error), source)]
    return check_cookie(cookie, source)


def check_cookie(cookie: Morsel[str], source: str) -> list[CheckMessage]:
    """Check a cookie as it would be set; ``source`` names the settings or code that set it."""
    return [refused(number, reason, source) for number, reason in refusals(cookie)]


def refused(number: str, reason: str, source: str) -> CheckMessage:
    return Error(reason, hint=_("Change %(source)s.") % {"source": source}, id=f"cookies.{number}")


def refusals(cookie: Morsel[str]) -> Iterator[tuple[str, str]]:
    """Yield the reasons for which browsers refuse the cookie, each with the number of its check."""
    name, domain, size = cookie.key, cookie["domain"], len(cookie.OutputString().encode())
    if len(name) > MAX_NAME_SHOWN:
        name = f"{name[:MAX_NAME_SHOWN]}…"
    if missing := missing_attributes(cookie.key, cookie):
        yield (
            "E001",
            _("Browsers refuse the cookie %(name)s: its prefix requires %(lacks)s.")
            % {"name": name, "lacks": ", ".join(map(str, missing))},
        )
    if needs_secure(cookie):
        yield (
            "E002",
            _("Browsers refuse the cookie %(name)s: SameSite=None needs Secure.") % {"name": name},
        )
    if domain and not is_domain_of_site(domain):
        yield (
            "E003",
            _(
                "Browsers refuse the cookie %(name)s: no host in ALLOWED_HOSTS may set cookies "
                "for the domain %(domain)s."
            )
            % {"name": name, "domain": domain},
        )
    if size > MAX_COOKIE_BYTES:
        yield (
            "E004",
            _(
                "Browsers may drop the cookie %(name)s: it takes %(size)d bytes with its "
                "attributes, and browsers need keep only %(limit)d."
            )
            % {"name": name, "size": size, "limit": MAX_COOKIE_BYTES},
        )


def missing_attributes(name: str, attributes: Mapping[str, Any]) -> list[str | Promise]:
    """Return the attributes that the name's prefix requires and the cookie lacks.

    The keys of ``attributes`` are those of a Morsel. A missing attribute is false.
    """
    given: dict[str | Promise, bool] = {
        SECURE: bool(attributes.get("secure")),
        HTTPONLY: bool(attributes.get("httponly")),
        ROOT: attributes.get("path") == "/",
        NO_DOMAIN: not attributes.get("domain"),
    }
    return [wanted for wanted in PREFIXES.get(prefix_of(name), ()) if not given[wanted]]


def needs_secure(attributes: Mapping[str, Any]) -> bool:
    """Whether a cookie with these attributes lacks the Secure that SameSite=None requires."""
    is_cross_site = attributes.get("samesite", "").lower() == "none"
    return is_cross_site and not attributes.get("secure")


def is_domain_of_site(domain: str) -> bool:
    """Whether some host of this site may set cookies for that domain."""
    hosts = settings.ALLOWED_HOSTS or (LOCAL_HOSTS if settings.DEBUG else ["*"])
    return is_domain_of(hosts, domain)


def is_domain_of(hosts: Iterable[str], domain: str) -> bool:
    """Whether one of the hosts, or patterns of ALLOWED_HOSTS, may set cookies for that domain.

    That is a domain equal to the host or above it. A domain of one label, such as ``com``, is a
    public suffix, unless it is the host itself. Other public suffixes, such as ``co.uk``, are not
    recognized. With ``*`` the site's hosts are unknown.
    """
    domain = domain.lower().removeprefix(".")
    return bool(HOST_NAME.fullmatch(domain)) and any(
        may_set_cookie(host.lower(), domain) for host in hosts
    )


def may_set_cookie(pattern: str, domain: str) -> bool:
    """Whether a host that matches this pattern of ALLOWED_HOSTS may set cookies for the domain."""
    host = pattern.removeprefix(".")
    if pattern == "*":
        return "." in domain or domain == "localhost"
    if host == domain:
        return True
    if "." not in domain or ADDRESS.fullmatch(host):
        return False
    is_above = host.endswith(f".{domain}")
    return is_above or (pattern.startswith(".") and domain.endswith(f".{host}"))
