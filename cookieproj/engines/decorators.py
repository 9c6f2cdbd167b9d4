"""Decorators for views."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest

from .renewal import PASSIVE_ATTRIBUTE

View = Callable[..., Any]


def passive(view: View) -> View:
    """Mark a view whose requests are no activity of the user, such as those of a script that polls.

    They do not renew a session, so it ends SESSION_IDLE_AGE seconds after the last other request. A
    change of the session is saved, and leaves its expiry as it is. A script can send the header
    ``X-Session-Passive`` instead. Without SESSION_IDLE_AGE nothing changes. For a class-based view
    use Django's ``method_decorator``. The view may be async.
    """

    @wraps(view)
    def marked(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        mark_as_passive(request)
        return view(request, *args, **kwargs)

    @wraps(view)
    async def amarked(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        mark_as_passive(request)
        return await view(request, *args, **kwargs)

    return amarked if iscoroutinefunction(view) else marked


def mark_as_passive(request: HttpRequest) -> None:
    # Django REST framework passes its views a request of its own, around Django's.
    setattr(getattr(request, "_request", request), PASSIVE_ATTRIBUTE, True)
