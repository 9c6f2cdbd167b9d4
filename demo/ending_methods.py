"""Compare clear, delete, flush and cycle_key, each on a temporary session of the running engine."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from cookieproj.engines import running_engine
from cookieproj.engines.session_keys import masked

METHODS = ("clear", "delete", "flush", "cycle_key")


@dataclass(frozen=True)
class MethodResult:
    """What a method leaves in the view, in the store under each key, and in the browser.

    ``key`` and ``cookie`` say in words what became of them. ``stored_under_old_key`` and
    ``stored_under_new_key`` are None if the store has no such session.
    """

    method: str
    key: str
    data: dict[str, Any]
    stored_under_old_key: dict[str, Any] | None
    stored_under_new_key: dict[str, Any] | None
    cookie: str


def compare_methods() -> list[MethodResult]:
    return [try_method(method) for method in METHODS]


def try_method(method: str) -> MethodResult:
    """Call the method in a request through Django's middleware, and return its effects."""
    session_class = running_engine.store()
    session = session_class()
    session["color"] = "blue"
    session.save()
    request = HttpRequest()
    request.COOKIES[settings.SESSION_COOKIE_NAME] = old_key = str(session.session_key)

    def view(request: HttpRequest) -> HttpResponse:
        request.session.get("color")
        getattr(request.session, method)()
        return HttpResponse()

    response = SessionMiddleware(view)(request)
    new_key = request.session.session_key
    result = MethodResult(
        method=method,
        key=key_change(old_key, new_key),
        data=dict(request.session.items()),
        stored_under_old_key=stored_data(session_class, old_key),
        stored_under_new_key=(
            stored_data(session_class, new_key) if new_key and new_key != old_key else None
        ),
        cookie=cookie_change(response),
    )
    for key in {old_key, new_key} - {None}:
        session_class(key).delete()
    return result


def key_change(old_key: str, new_key: str | None) -> str:
    if new_key is None:
        return _("none")
    return _("the same") if new_key == old_key else _("a new one")


def stored_data(session_class: type[SessionBase], key: str) -> dict[str, Any] | None:
    """Return the data that the store has under ``key``, or None if it has no such session."""
    session = session_class(key)
    data = session.load()
    return None if session.session_key is None else data


def cookie_change(response: Any) -> str:
    cookie = response.cookies.get(settings.SESSION_COOKIE_NAME)
    if cookie is None:
        return _("unchanged")
    return _("set again") if cookie.value else _("deleted")


def masked_key(key: str | None) -> str:
    return masked(key) if key else "None"
