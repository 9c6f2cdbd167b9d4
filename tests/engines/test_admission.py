"""A request that may not open the session of its cookie gets a new one, and changes nothing."""

import gc
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import SynchronousOnlyOperation
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from pytest_django import Settings

from cookieproj.engines.admission import ADMISSION_ATTRIBUTE
from cookieproj.engines.exceptions import HeldByClientError, StoreUnavailableError
from cookieproj.engines.merge import Data
from cookieproj.engines.middleware import SessionMiddleware
from cookieproj.engines.round_trips import count_round_trips
from tests.conftest import on

pytestmark = pytest.mark.django_db


@pytest.fixture
def cookie(store: type[SessionBase]) -> str:
    """The cookie of a stored session."""
    session = store()
    session["color"] = "blue"
    session.save()
    return str(session.session_key)


def respond(
    cookie: str, view: Callable[[Any], object], *, is_admitted: bool, on_loop: bool = False
) -> HttpResponse:
    """Run the view on a request with that cookie; ``on_loop`` as a part of an async view."""
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

    async def aget_response(request: HttpRequest) -> HttpResponse:
        # A refusal of the database loses nothing: see test_event_loop.
        with suppress(SynchronousOnlyOperation):
            view(request)
        return HttpResponse()

    if on_loop:
        # In a context of its own, which ends the event loop's database connection.
        middleware: Any = SessionMiddleware(aget_response)
        response: HttpResponse = copy_context().run(async_to_sync(middleware), request)
    else:
        response = SessionMiddleware(get_response)(request)
    return response


def stored(store: type[SessionBase], cookie: str) -> dict[str, Any]:
    return dict(store(cookie).items())


VIEWS: dict[str, Callable[[Any], object]] = {
    "reads": lambda request: request.session.get("color"),
    "clears": lambda request: request.session.clear(),
    "flushes": lambda request: request.session.flush(),
    "deletes": lambda request: request.session.delete(),
    "deletes by its key": lambda request: request.session.delete(request.session.session_key),
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
    if view in {"reads", "clears", "flushes", "deletes", "deletes by its key", "flushes, async"}:
        assert new is None
    else:
        assert new is not None
        assert stored(store, new.value).get("color") in {None, "red"}


# Steps of an async view.
STEPS: dict[str, Callable[[Any], object]] = {
    "clear": lambda session: session.clear(),
    "flush": lambda session: session.flush(),
    "delete": lambda session: session.delete(),
    "create": lambda session: session.create(),
    "clear and set": lambda session: (session.clear(), session.update({"size": 1})),
    "clear and save": lambda session: (session.clear(), session.save()),
    "clear and cycle_key": lambda session: (session.clear(), session.cycle_key()),
    "clear and loaded": lambda session: (session.clear(), getattr(session, "loaded", None)),
    "clear and apply": lambda session: (session.clear(), apply_size(session)),
    "clear and create": lambda session: (session.clear(), session.create()),
    "clear and delete": lambda session: (session.clear(), session.delete()),
}


def apply_size(session: Any) -> object:
    with suppress(HeldByClientError):
        return session.apply("size", lambda size: size + 1, default=0)
    return None


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.django_db(transaction=True)
def test_refused_request_of_an_async_view(step: str, store: type[SessionBase], cookie: str) -> None:
    response = respond(
        cookie, lambda request: STEPS[step](request.session), is_admitted=False, on_loop=True
    )
    assert stored(store, cookie) == {"color": "blue"}
    new = response.cookies.get(settings.SESSION_COOKIE_NAME)
    if step == "clear and set":
        assert new is not None
        assert stored(store, new.value) == {"size": 1}
    assert new is None or new.value not in {cookie, ""}


@pytest.mark.parametrize("step", ["clear", "flush", "clear and set"])
@pytest.mark.django_db(transaction=True)
def test_admitted_request_of_an_async_view(
    step: str, store: type[SessionBase], cookie: str
) -> None:
    response = respond(
        cookie, lambda request: STEPS[step](request.session), is_admitted=True, on_loop=True
    )
    sent = response.cookies.get(settings.SESSION_COOKIE_NAME)
    assert stored(store, sent.value if sent else cookie) == (
        {"size": 1} if step == "clear and set" else {}
    )


@pytest.mark.django_db(transaction=True)
def test_session_that_outlives_its_request_asks(store: type[SessionBase], cookie: str) -> None:
    sessions: list[Any] = []
    respond(cookie, lambda request: sessions.append(request.session), is_admitted=False)
    gc.collect()
    assert "color" not in sessions[0]


@on("db", "cached_db", "cache", "file")
def test_refused_request_creates_another_session(store: type[SessionBase], cookie: str) -> None:
    seen: list[Any] = []

    def create(request: Any) -> None:
        request.session.create()
        seen.append(settings.SESSION_COOKIE_NAME in request.COOKIES)

    new = respond(cookie, create, is_admitted=False).cookies[settings.SESSION_COOKIE_NAME]
    assert seen == [False]
    assert stored(store, new.value) == {}
    assert stored(store, cookie) == {"color": "blue"}


@on("db", "cached_db", "cache", "file")
def test_admitted_request_creates_an_empty_session(store: type[SessionBase], cookie: str) -> None:
    """Django too keeps nothing of a session that was not read."""
    response = respond(cookie, lambda request: request.session.create(), is_admitted=True)
    assert stored(store, response.cookies[settings.SESSION_COOKIE_NAME].value) == {}


def test_admitted_request_opens_it(store: type[SessionBase], cookie: str) -> None:
    colors: list[str] = []
    respond(cookie, lambda request: colors.append(request.session["color"]), is_admitted=True)
    assert colors == ["blue"]


def test_session_that_is_left_alone_is_not_read(store: type[SessionBase], cookie: str) -> None:
    with count_round_trips() as trips:
        respond(cookie, lambda request: None, is_admitted=False)
    assert trips.number == 0


def test_admission_that_cannot_tell_is_unavailable(
    store: type[SessionBase], cookie: str, settings: Settings
) -> None:
    """Also if it is asked only after the view, as the response saves the session."""
    settings.SESSION_SAVE_EVERY_REQUEST = True

    def fail(data: Data) -> bool:
        raise StoreUnavailableError("the cache", "It does not answer.", "Try again.")

    request = RequestFactory().get("/")
    request.COOKIES[settings.SESSION_COOKIE_NAME] = cookie
    setattr(request, ADMISSION_ATTRIBUTE, fail)
    response = SessionMiddleware(lambda request: HttpResponse())(request)
    assert response.status_code == 503
    assert not response.cookies
    assert stored(store, cookie) == {"color": "blue"}
