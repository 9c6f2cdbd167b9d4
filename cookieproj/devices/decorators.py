"""``require_post``: a view that accepts POST only. A GET is redirected to the page of the form."""

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
    """Like Django's ``require_POST``, but redirect GET and HEAD to ``page``, a URL or its name.

    A GET comes from a URL that was typed or bookmarked, or from a sign-in page, which redirects
    to the URL that required the sign-in. Other methods are answered 405.
    """

    def decorate(view: View) -> View:
        @require_http_methods(["POST", *SAFE_METHODS])
        @wraps(view)
        def view_or_redirect(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method in SAFE_METHODS:
                return redirect_to_page(request, page)
            response: HttpResponse = view(request, *args, **kwargs)
            return response

        return view_or_redirect

    return decorate


@never_cache
def redirect_to_page(request: HttpRequest, page: str) -> HttpResponse:
    return redirect(page)
