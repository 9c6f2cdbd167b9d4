"""What takes a POST alone: who comes to its address by a link gets to the page with the button."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

View = Callable[..., Any]

SAFE_METHODS = ("GET", "HEAD")


def require_post(*, page: str) -> Callable[[View], View]:
    """As Django's, but a look leads to that page, by its URL or the name of that.

    By an address that was typed, or kept: a sign-in leads to where somebody was when asked to
    sign in. Other methods are answered 405.
    """

    def require(view: View) -> View:
        @require_http_methods(["POST", *SAFE_METHODS])
        @wraps(view)
        def posted(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method in SAFE_METHODS:
                return redirect_to_page(request, page)
            response: HttpResponse = view(request, *args, **kwargs)
            return response

        return posted

    return require


@never_cache
def redirect_to_page(request: HttpRequest, page: str) -> HttpResponse:
    return redirect(page)
