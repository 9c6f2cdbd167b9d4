"""How large a cookie browsers keep: the rule and its words, for every page that has it.

RFC 6265bis, section 5.6, limits name and value together, and the value of each attribute.
tests/browser/test_limits.py tries both in a browser.
"""

from django.utils.functional import lazy
from django.utils.translation import gettext as _

from cookieproj.engines.cookie_settings import MAX_COOKIE_BYTES

from .wording import grouped

# Browsers ignore an attribute with a longer value.
MAX_ATTRIBUTE_BYTES = 1024


def pair_bytes(name: str, value: str) -> int:
    """Return what browsers count of a cookie: the bytes of its name and value, without "="."""
    return len(name.encode()) + len(value.encode())


def browser_limit() -> str:
    return _(
        "Browsers keep a cookie of up to %(limit)s bytes, name and value together, and drop a "
        "larger one without telling the server (RFC 6265bis, the draft of the next cookie "
        "standard)."
    ) % {"limit": grouped(MAX_COOKIE_BYTES)}


def engine_limit() -> str:
    return _(
        "This project's engines count the attributes too: RFC 6265 promises no more than %(limit)s "
        "bytes for all of it."
    ) % {"limit": grouped(MAX_COOKIE_BYTES)}


def engine_limit_in_short() -> str:
    return _("a cookie of %(limit)s bytes: name, value and, to be safe, attributes") % {
        "limit": grouped(MAX_COOKIE_BYTES)
    }


# For texts that are made when a module is imported.
BROWSER_LIMIT = lazy(browser_limit, str)()
ENGINE_LIMIT = lazy(engine_limit, str)()
