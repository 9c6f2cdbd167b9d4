"""The URL of a request's own page, and that of the sign-in page which leads back to it."""

from django.conf import settings
from django.core.exceptions import DisallowedRedirect
from django.http import HttpRequest
from django.shortcuts import resolve_url
from django.utils.http import escape_leading_slashes


def own_url(request: HttpRequest) -> str:
    """Return the request's own path and query, on this site whatever the path is."""
    return escape_leading_slashes(request.get_full_path())


def sign_in_url(next_url: str) -> str:
    """Return the URL of the sign-in page, which leads back unless the other URL is too long."""
    # Its module imports the models of django.contrib.auth: a check reports if that app is missing.
    from django.contrib.auth.views import redirect_to_login  # noqa: PLC0415

    try:
        return redirect_to_login(next_url).url
    except DisallowedRedirect:
        return resolve_url(settings.LOGIN_URL)
