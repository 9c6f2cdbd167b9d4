"""clear, delete, flush and cycle_key, each run on a throw-away session of the running engine."""

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
class Ending:
    """What a method left: in the store under the old and the new key, and in the browser."""

    method: str
    key: str
    data: dict[str, Any]
    old_key_opens: dict[str, Any] | None
    new_key_opens: dict[str, Any] | None
    cookie: str


def compared() -> list[Ending]:
    return [tried(method) for method in METHODS]


def tried(method: str) -> Ending:
    """Send a request with a fresh session through Django's own middleware and look after it."""
    store = running_engine.store()
    made = store()
    made["color"] = "blue"
    made.save()
    request = HttpRequest()
    request.COOKIES[settings.SESSION_COOKIE_NAME] = before = str(made.session_key)

    def view(request: HttpRequest) -> HttpResponse:
        request.session.get("color")
        getattr(request.session, method)()
        return HttpResponse()

    response = SessionMiddleware(view)(request)
    after = request.session.session_key
    ending = Ending(
        method=method,
        key=_("none") if after is None else _("the same") if after == before else _("a new one"),
        data=dict(request.session.items()),
        old_key_opens=opened(store, before),
        new_key_opens=opened(store, after) if after and after != before else None,
        cookie=sent(response),
    )
    for key in {before, after} - {None}:
        store(key).delete()
    return ending


def opened(store: type[SessionBase], key: str) -> dict[str, Any] | None:
    """What a browser with that key would get; None if there is no such session any more."""
    session = store(key)
    data = session.load()
    return None if session.session_key is None else data


def sent(response: Any) -> str:
    cookie = response.cookies.get(settings.SESSION_COOKIE_NAME)
    if cookie is None:
        return _("kept as it was")
    return _("set anew") if cookie.value else _("deleted")


def key_in_part(key: str | None) -> str:
    return masked(key) if key else "None"
