"""A Set-Cookie line as a browser reads it, and why the browser may drop its cookie.

The rules are those of RFC 6265bis (draft-ietf-httpbis-rfc6265bis), sections 5.6 and 5.7. Those
about prefixes, SameSite and Domain are in ``cookieproj.engines.cookie_checks``. Which cookies the
browser really has, a page of this site asks it: see static/demo/verdicts.js.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.http.request import split_domain_port
from django.utils.http import parse_http_date_safe
from django.utils.translation import gettext as _

from cookieproj.engines.cookie_checks import (
    ADDRESS,
    is_domain_of,
    missing_attributes,
    needs_secure,
    prefix_of,
)
from cookieproj.engines.cookie_settings import MAX_COOKIE_BYTES

from .cookie_limits import MAX_ATTRIBUTE_BYTES, pair_bytes

FLAGS = {"secure", "httponly", "partitioned"}

SECONDS = re.compile("-?[0-9]+")
CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# Hosts that Chromium and Firefox trust without https.
LOCAL_HOST = re.compile(r"(.+\.)?localhost|127(\.[0-9]+){3}|\[::1\]")


def parse_pair(text: str) -> dict[str, Any]:
    """Parse ``name=value``. Without "=" the text is a nameless value (RFC 6265bis, section 5.6)."""
    name, equals, value = text.strip().partition("=")
    return {"name": name.strip(), "value": value.strip()} if equals else {"name": "", "value": name}


@dataclass(frozen=True)
class SetCookie:
    """A Set-Cookie line in a response to that request. Its age is in seconds."""

    line: str
    request: HttpRequest

    @cached_property
    def pair(self) -> tuple[str, str]:
        pair = parse_pair(self.line.partition(";")[0])
        return pair["name"], pair["value"]

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """The attributes by name in lower case. Of several with one name the last counts."""
        texts = [text.strip().partition("=") for text in self.line.split(";")[1:]]
        return {
            name.lower(): name.lower() in FLAGS or value
            for name, _equals, value in texts
            if len(value.encode()) <= MAX_ATTRIBUTE_BYTES
        }

    @cached_property
    def host(self) -> str:
        """The host that sets the cookie, without its port; "" if this site does not allow it."""
        try:
            return split_domain_port(self.request.get_host())[0]
        except DisallowedHost:
            return ""

    @property
    def domain(self) -> str:
        """The domain of the cookie, or "" for this host alone.

        Browsers keep a cookie for the host alone if its domain is that very host, and is an
        address or has no dot.
        """
        domain: str = self.attributes.get("domain", "").lower().removeprefix(".")
        is_host = domain == self.host and "." not in domain
        return "" if is_host or ADDRESS.fullmatch(domain) else domain

    @property
    def path(self) -> str:
        """The path of the cookie: without a valid attribute, the folder of the address."""
        path: str = self.attributes.get("path", "")
        return path if path.startswith("/") else self.request.path.rpartition("/")[0] or "/"

    @property
    def identity(self) -> tuple[str, str, str]:
        """What a deletion must share with the cookie that it deletes: name, domain and path."""
        return self.pair[0], self.domain, self.path

    @property
    def age(self) -> int | None:
        max_age = self.attributes.get("max-age", "")
        if SECONDS.fullmatch(max_age):
            return int(max_age)
        expires = parse_http_date_safe(self.attributes.get("expires", ""))
        return None if expires is None else expires - int(time.time())

    @property
    def is_deletion(self) -> bool:
        return self.age is not None and self.age <= 0

    @property
    def is_of_this_machine(self) -> bool:
        """Whether the host is the machine on which the browser runs."""
        return LOCAL_HOST.fullmatch(self.host) is not None

    @property
    def is_over_plain_http(self) -> bool:
        """Whether the browser does not trust the connection."""
        return not self.request.is_secure() and not self.is_of_this_machine

    @property
    def unexplained(self) -> str:
        if self.is_over_plain_http and "secure" not in self.attributes:
            return _(
                "The browser gives no reason. One rule leaves no trace here: over http nothing "
                "replaces a Secure cookie of the same name, and http does not send that cookie."
            )
        return _("The browser gives no reason.")

    @property
    def data(self) -> dict[str, Any]:
        """As JSON data, which cookie the line asks for.

        Name, domain, path and "partitioned" identify the cookie. "age" is in seconds: zero or less
        deletes the cookie, and None keeps it until the browser closes. "reasons" are the rules for
        which browsers drop it, and "unexplained" is what to say if one drops it all the same.
        """
        return {
            "path": self.path,
            "domain": self.domain,
            "partitioned": "partitioned" in self.attributes,
            "age": self.age,
            "reasons": list(self.reasons()),
            "unexplained": self.unexplained,
        }

    def reasons(self) -> Iterator[str]:
        """Yield the rules for which browsers drop the cookie."""
        yield from self.reasons_in_name_and_value()
        domain = self.attributes.get("domain", "")
        if needs_secure(self.attributes):
            yield _("SameSite=None needs Secure.")
        if "partitioned" in self.attributes and "secure" not in self.attributes:
            yield _("Partitioned needs Secure.")
        if "secure" in self.attributes and self.is_over_plain_http:
            yield _("A Secure cookie can be set over https only, except by this machine itself.")
        if domain and not is_domain_of([self.host], domain):
            yield self.reason_in_domain(domain)

    def reason_in_domain(self, domain: str) -> str:
        names = {"host": self.host, "domain": domain}
        if ADDRESS.fullmatch(self.host):
            return _("%(host)s is an IP address, so it has no domain %(domain)s.") % names
        return _("%(host)s may not set cookies for the domain %(domain)s.") % names

    def reasons_in_name_and_value(self) -> Iterator[str]:
        name, value = self.pair
        size = pair_bytes(name, value)
        if size > MAX_COOKIE_BYTES:
            yield _("Name and value have %(size)d bytes, more than %(limit)d.") % {
                "size": size,
                "limit": MAX_COOKIE_BYTES,
            }
        if not name and not value:
            yield _("It has neither a name nor a value.")
        if not name and (prefix := prefix_of(value)):
            yield _("A cookie without a name may not have a value that begins with %(prefix)s.") % {
                "prefix": prefix
            }
        if CONTROL_CHARACTER.search(self.line):
            yield _("It contains a control character.")
        if missing := missing_attributes(name, self.attributes):
            yield _("The prefix %(prefix)s of its name requires %(lacks)s.") % {
                "prefix": prefix_of(name),
                "lacks": ", ".join(map(str, missing)),
            }
