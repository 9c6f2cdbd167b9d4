"""Asks signed-in users for their password again, in place of a view."""

import logging
import time
from http import HTTPStatus
from typing import Any

from django import forms
from django.contrib.auth import authenticate, login, update_session_auth_hash
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import CsrfViewMiddleware
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.debug import sensitive_variables

from cookieproj.engines.constants import AUTH_TIME

from . import conf, password_tries
from .kept_post import (
    KEPT_FIELD,
    NOT_KEPT_FIELD,
    PASSWORD_FIELD,
    SAFE_METHODS,
    hidden_fields,
    is_answer,
    lost_files,
    restore_post,
)
from .page_urls import own_url, sign_in_url
from .user_model import signed_in_user

logger = logging.getLogger(__name__)


class PasswordForm(forms.Form):
    prefix = "cookieproj_devices"
    password = forms.CharField(
        label=gettext_lazy("Password"),
        strip=False,
        max_length=4096,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )


def is_recent(session: SessionBase, seconds: int | None) -> bool:
    """Whether the session's user gave the password within so many seconds.

    None stands for DEVICES_ASK_PASSWORD_AFTER; without that setting every session is recent. A
    session that was signed in before this app was installed is not, nor one whose sign-in was so
    many seconds in the future, by a clock that has been set back since.
    """
    limit = conf.ask_password_after() if seconds is None else seconds
    return limit is None or abs(time.time() - session.get(AUTH_TIME, float("-inf"))) < limit


def ask_unless_recent(request: HttpRequest, seconds: int | None = None) -> HttpResponse | None:
    """Return None if the view may answer the request, or a response to send in its place.

    The request has a signed-in user. If it comes from the page that asks, its POST is replaced with
    the one that the page has kept.
    """
    if not is_answer(request):
        return None if is_recent(request.session, seconds) else page(request)
    hide_from_reports(request)
    response = refuse_forged(request)
    # It is recent if the button was pressed twice, or another tab was faster.
    if response is None and not is_recent(request.session, seconds):
        response = check_password(request)
    return response or continue_request(request)


@sensitive_variables("password")
def check_password(request: HttpRequest) -> HttpResponse | None:
    """Sign the user in once more if the password is right; if not, return the page with an error.

    The session gets a new key and keeps its data.
    """
    form = PasswordForm(request.POST)
    user = signed_in_user(request)
    if not can_give_password(user) or not form.is_valid():
        return page(request, form)
    try:
        seconds = password_tries.begin_try(user)
    except Exception:  # each cache has errors of its own
        logger.exception("The default cache counts no tries, so no password is checked.")
        form.add_error("password", _("The password cannot be checked now. Try again in a moment."))
        return page(request, form, HTTPStatus.SERVICE_UNAVAILABLE)
    if seconds:
        form.add_error("password", too_many(seconds))
        response = page(request, form, HTTPStatus.TOO_MANY_REQUESTS)
        response.headers["Retry-After"] = str(seconds)
        return response
    password = form.cleaned_data["password"]
    found = authenticate(request, username=user.get_username(), password=password)
    if found is None or found.pk != user.pk:
        form.add_error("password", wrong(password_tries.seconds_to_wait(user)))
        return page(request, form)
    password_tries.forget_tries(user)
    # Django gives a session that is signed in no new key, and flushes it if the check has hashed
    # the password again.
    update_session_auth_hash(request, found)
    login(request, found)
    return None


def wrong(seconds: int) -> str:
    if not seconds:
        return _("This is not your password.")
    text = ngettext(
        "This is not your password. Try again in %(seconds)d second.",
        "This is not your password. Try again in %(seconds)d seconds.",
        seconds,
    )
    return text % {"seconds": seconds}


def too_many(seconds: int) -> str:
    text = ngettext(
        "Too many wrong passwords. Try again in %(seconds)d second.",
        "Too many wrong passwords. Try again in %(seconds)d seconds.",
        seconds,
    )
    return text % {"seconds": seconds}


def can_give_password(user: Any) -> bool:
    """Whether the user has a password here. Others sign in elsewhere, by SSO for example."""
    return bool(user.password and user.has_usable_password())


def continue_request(request: HttpRequest) -> HttpResponse | None:
    """Do what the page was asked instead of: see ``ask_unless_recent``."""
    if KEPT_FIELD in request.POST:
        restore_post(request)
        return None
    if NOT_KEPT_FIELD in request.POST:
        return never_cached(render(request, "cookieproj_devices/password_confirmed.html"))
    return never_cached(HttpResponseRedirect(own_url(request), status=HTTPStatus.SEE_OTHER))


def page(
    request: HttpRequest,
    form: PasswordForm | None = None,
    status: HTTPStatus = HTTPStatus.FORBIDDEN,
) -> HttpResponse:
    """Return the page that asks. Its status tells scripts that the view has not run."""
    user = signed_in_user(request)
    if can_give_password(user):
        template = "cookieproj_devices/ask_password.html"
        hidden = hidden_fields(request)
        context: dict[str, Any] = {
            "user": user,
            "form": form or PasswordForm(),
            "hidden_fields": hidden,
            "is_kept": NOT_KEPT_FIELD not in hidden,
            "files": lost_files(request),
        }
    else:
        template = "cookieproj_devices/sign_in_again.html"
        is_kept = request.method in SAFE_METHODS
        url = sign_in_url(own_url(request))
        context = {"user": user, "sign_in_url": url, "is_kept": is_kept}
    response = never_cached(render(request, template, context, status=status))
    csrf_middleware().process_response(request, response)
    return response


def refuse_forged(request: HttpRequest) -> HttpResponse | None:
    """Check the CSRF token of the page's form, even if the view is exempt from the check."""
    middleware = csrf_middleware()
    middleware.process_request(request)
    refusal: HttpResponse | None = middleware.process_view(request, empty_response, (), {})
    return refusal


def csrf_middleware() -> CsrfViewMiddleware:
    return CsrfViewMiddleware(empty_response)


def empty_response(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def hide_from_reports(request: Any) -> None:
    """Hide the password and the kept form in error reports, with what is hidden already."""
    hidden = getattr(request, "sensitive_post_parameters", [])
    if hidden != "__ALL__":
        request.sensitive_post_parameters = [*hidden, PASSWORD_FIELD, KEPT_FIELD]


def never_cached(response: HttpResponse) -> HttpResponse:
    add_never_cache_headers(response)
    return response
