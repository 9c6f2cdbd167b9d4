"""A request that may not open the session of its cookie gets a new one, and changes nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from cookieproj.engines.admission import ADMISSION_ATTRIBUTE
from cookieproj.engines.merge import Data
from cookieproj.engines.middleware import SessionMiddleware
from cookieproj.engines.round_trips import count_round_trips

pytestmark = pytest.mark.django_db


@pytest.fixture
def cookie(store: type[SessionBase]) -> str:
    """The cookie of a stored session."""
    session = store()
    session["color"] = "blue"
    session.save()
    return str(session.session_key)


def respond(cookie: str, view: Callable[[Any], object], *, is_admitted: bool) -> HttpResponse:
    """Run the view on a request with that cookie."""
    request = RequestFactory().get("/")
    request.COOKIES[settings.SESSION_COOKIE_NAME] = cookie

    def admission(data: Data) -> bool:
        assert data == {"color": "blue"}
        if not is_admitted:
            del request.COOKIES[settings.SESSION_COOKIE_NAME]
        return is_admitted

    setattr(request, ADMISSION_ATTRIBUTE, admission)

    def get_response(request: HttpRequest) -> HttpResponse:
        view(request)
        return HttpResponse()

    response: HttpResponse = SessionMiddleware(get_response)(request)
    return response


def stored(store: type[SessionBase], cookie: str) -> dict[str, Any]:
    return dict(store(cookie).items())


VIEWS: dict[str, Callable[[Any], object]] = {
    "reads": lambda request: request.session.get("color"),
    "clears": lambda request: request.session.clear(),
    "flushes": lambda request: request.session.flush(),
    "deletes": lambda request: request.session.delete(),
    "cycles the key": lambda request: request.session.cycle_key(),
    "changes": lambda request: request.session.update({"color": "red"}),
    "sets an expiry": lambda request: request.session.set_expiry(1),
    "flushes, async": lambda request: async_to_sync(request.session.aflush)(),
    "changes, async": lambda request: async_to_sync(request.session.aset)("color", "red"),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.django_db(transaction=True)
def test_refused_request_leaves_the_session(
    view: str, store: type[SessionBase], cookie: str
) -> None:
    seen: list[Any] = []

    def look(request: Any) -> None:
        VIEWS[view](request)
        seen.append(request.session.session_key)

    response = respond(cookie, look, is_admitted=False)
    assert stored(store, cookie) == {"color": "blue"}
    assert seen != [cookie]
    new = response.cookies.get(settings.SESSION_COOKIE_NAME)
    if view in {"reads", "clears", "flushes", "deletes", "flushes, async"}:
        assert new is None
    else:
        assert new is not None
        assert stored(store, new.value).get("color") in {None, "red"}


def test_admitted_request_opens_it(store: type[SessionBase], cookie: str) -> None:
    colors: list[str] = []
    respond(cookie, lambda request: colors.append(request.session["color"]), is_admitted=True)
    assert colors == ["blue"]


def test_session_that_is_left_alone_is_not_read(store: type[SessionBase], cookie: str) -> None:
    with count_round_trips() as trips:
        respond(cookie, lambda request: None, is_admitted=False)
    assert trips.number == 0
