"""Whether a request comes with a session."""

from django.http import HttpRequest


def has_session(request: HttpRequest) -> bool:
    """Whether the cookie leads to a session. Loading sets a key that no store knows to None."""
    request.session.keys()
    return request.session.session_key is not None
