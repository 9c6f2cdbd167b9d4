"""Django's ``never_cache``, which composes the same header for every response, at a lower cost."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.cache import add_never_cache_headers
from django.utils.http import http_date

View = Callable[..., Any]


def django_cache_control() -> str:
    response = HttpResponse()
    add_never_cache_headers(response)
    return str(response.headers["Cache-Control"])


CACHE_CONTROL = django_cache_control()


def never_cache(view: View) -> View:
    """Forbid browsers and caches to store the view's responses, by the headers of Django's."""

    @wraps(view)
    def never_cached(request: HttpRequest, *arguments: Any, **options: Any) -> Any:
        response = view(request, *arguments, **options)
        if response.has_header("Cache-Control") or response.has_header("Expires"):
            # Django keeps what the view has set and adds to it.
            add_never_cache_headers(response)
        else:
            response.headers["Cache-Control"] = CACHE_CONTROL
            response.headers["Expires"] = http_date()
        return response

    return never_cached
