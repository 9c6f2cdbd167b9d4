"""A second site on the same server: browsers take 127.0.0.1 and localhost for different sites.

What recipes need for pages of that other site is relaxed for exactly that origin, only on the
local machine and only with DEBUG on.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from csp.decorators import csp_replace
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from .recipe import TextResponse

View = Callable[..., HttpResponse]

# Browsers take these for two sites, and each of them is the other's second name.
NAMES = ("127.0.0.1", "localhost")


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


def name_of(request: HttpRequest) -> str:
    """Return the name in the request's address, "" if there is no such port."""
    try:
        url = urlsplit(request.build_absolute_uri())
        return (url.hostname or "") if url.port != 0 else ""
    except ValueError:
        return ""


def has_second_site(request: HttpRequest) -> bool:
    """Whether this is development, and the site has been opened under one of the two names."""
    return settings.DEBUG and name_of(request) in NAMES


def has_subdomains(request: HttpRequest) -> bool:
    """Whether this is development, and names below localhost lead to this site."""
    name = name_of(request)
    return settings.DEBUG and (name in (*NAMES, "::1") or name.endswith(".localhost"))


def only_local(view: View) -> View:
    """Serve a page of a recipe only under one of the two names with DEBUG on."""

    @wraps(view)
    def served(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponse:
        if not has_second_site(request):
            raise Http404
        return view(request, *arguments, **named)

    return served


def runs_if(is_local: Callable[[HttpRequest], bool]) -> Callable[[View], View]:
    """Run a recipe only for such requests, and say so in answer to others."""

    def decorated(view: View) -> View:
        @wraps(view)
        def served(request: HttpRequest, **fields: Any) -> HttpResponse:
            if not is_local(request):
                return TextResponse(
                    _(
                        "This recipe needs a second name of the site. Open it as 127.0.0.1 or "
                        "localhost on the machine that serves it, with DEBUG on."
                    )
                )
            return view(request, **fields)

        return served

    return decorated


local_recipe = runs_if(has_second_site)
recipe_of_subdomains = runs_if(has_subdomains)
