"""A second site on the same server: browsers take 127.0.0.1 and localhost for different sites.

What recipes need for pages of that other site is relaxed for exactly that origin, and only with
DEBUG on.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from csp.decorators import csp_replace
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse

View = Callable[..., HttpResponse]


def other_origin(request: HttpRequest) -> str:
    """Return the origin of this server under its other local name, with the request's port."""
    url = urlsplit(request.build_absolute_uri())
    name = "127.0.0.1" if url.hostname == "localhost" else "localhost"
    return f"{url.scheme}://{name}:{url.port}" if url.port else f"{url.scheme}://{name}"


def with_policy(response: HttpResponse, **directives: str) -> HttpResponse:
    """Replace directives of the response's content security policy, named with underscores."""
    config: dict[str, Any] = {
        name.replace("_", "-"): value.split(" ") for name, value in directives.items()
    }
    replaced: Any = csp_replace(config)(lambda _request: response)
    return replaced(None)  # type: ignore[no-any-return]


def only_with_debug(view: View) -> View:
    """Serve a view that weakens this site in development only."""

    @wraps(view)
    def served(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponse:
        if not settings.DEBUG:
            raise Http404
        return view(request, *arguments, **named)

    return served
