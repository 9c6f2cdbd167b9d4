"""The URL of a request's own page, and that of the sign-in page which leads back to it."""

from django.http import HttpRequest
from django.utils.http import escape_leading_slashes


def own_url(request: HttpRequest) -> str:
    """Return the request's own path and query, on this site whatever the path is."""
    return escape_leading_slashes(request.get_full_path())


def sign_in_url(next_url: str) -> str:
    # Its module imports the models of django.contrib.auth: a check reports if that app is missing.
    from django.contrib.auth.views import redirect_to_login  # noqa: PLC0415

    return redirect_to_login(next_url).url
