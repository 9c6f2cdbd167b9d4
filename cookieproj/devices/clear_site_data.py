"""``ClearSiteDataMiddleware``: browsers empty their cache when a user signs out."""

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

# On a request: its user has signed out.
HAS_SIGNED_OUT = "user_has_signed_out"

# Hosts from which browsers accept the header without https.
LOCAL_HOST = re.compile(r"(?:(?:[^:]+\.)?localhost|127(?:\.\d+){3}|\[::1\])(?::\d+)?")


class ClearSiteDataMiddleware:
    """Sends ``Clear-Site-Data: "cache"`` with the response that signs a user out.

    The browser then deletes what it has cached of this site, pages of the user among them. Its back
    button may still show a page that it keeps in memory: ``never_cache`` forbids that.

    "cookies" would delete those of the whole registered domain, with its subdomains, and the chosen
    language. Django deletes the session's cookie itself. "storage" would delete what all apps of
    the origin have stored, for each of their users.

    Sites list it in MIDDLEWARE if they want it, because Chromium may take seconds to clear a large
    cache (https://crbug.com/40233601).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if hasattr(request, HAS_SIGNED_OUT) and is_heeded(request):
            response.headers.setdefault("Clear-Site-Data", '"cache"')
        return response


def is_heeded(request: HttpRequest) -> bool:
    """Whether browsers accept the header from this site: over https, and on their own machine."""
    return request.is_secure() or bool(LOCAL_HOST.fullmatch(request.get_host()))
