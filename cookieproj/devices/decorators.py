"""Decorators of views: ``require_post`` and ``recently_authenticated``."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from cookieproj.engines.compliance.site import ASKS_FOR_PASSWORD

from .asking_password import ask_unless_recent
from .kept_post import SAFE_METHODS

View = Callable[..., Any]


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


def recently_authenticated(seconds: int | None = None) -> Callable[[View], View]:
    """Admit signed-in users who gave their password within so many seconds, and ask the others.

    Visitors are redirected to the sign-in page, as by Django's ``login_required``. Users whose
    password is too long ago get a page in place of the view, with status 403, that asks for it.
    Their POST is kept in that page. With the right password the session gets a new key, and the
    view answers the original request: a GET after a redirect to itself.

    ``seconds`` is DEVICES_ASK_PASSWORD_AFTER by default. If that is not set, nobody is asked.

    Works on sync and async views. The page is answered by POST, so this stands outside of
    ``require_safe`` and ``require_GET``. The view reads ``request.POST`` and ``request.FILES``, not
    ``request.body``. With 0 each POST asks; a view for GET needs a number of seconds.

    Raises TypeError if ``seconds`` is no number, as without parentheses.
    """
    if seconds is not None and type(seconds) is not int:
        raise TypeError(
            f"recently_authenticated takes a whole number of seconds or none, not {seconds!r}. "
            "Write it with parentheses: @recently_authenticated()"
        )

    def decorate(view: View) -> View:
        if iscoroutinefunction(view):

            @wraps(view)
            async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
                response = await sync_to_async(ask_unless_recent)(request, seconds)
                return await view(request, *args, **kwargs) if response is None else response
        else:

            @wraps(view)
            def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
                response = ask_unless_recent(request, seconds)
                return view(request, *args, **kwargs) if response is None else response

        checked = login_required(guarded)
        # For ``checksessions``.
        setattr(checked, ASKS_FOR_PASSWORD, True)
        return checked

    return decorate
