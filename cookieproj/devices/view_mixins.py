"""``RecentlyAuthenticatedMixin``, for class-based views."""

from typing import Any

from django.http import HttpRequest, HttpResponseBase

from .decorators import recently_authenticated


class RecentlyAuthenticatedMixin:
    """Asks for the password as ``recently_authenticated`` does, for sync and async views.

    It stands before the other base classes. ``authenticated_within`` is the number of seconds for
    which a given password counts; DEVICES_ASK_PASSWORD_AFTER by default.
    """

    authenticated_within: int | None = None
    # For ``checksessions``.
    asks_for_password = True

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        dispatch = super().dispatch  # type: ignore[misc] # mixed into a View

        async def dispatch_async(*args: Any, **kwargs: Any) -> HttpResponseBase:
            response: HttpResponseBase = await dispatch(*args, **kwargs)
            return response

        view = dispatch_async if self.view_is_async else dispatch  # type: ignore[attr-defined]
        guarded = recently_authenticated(self.authenticated_within)(view)
        response: HttpResponseBase = guarded(request, *args, **kwargs)
        return response
