"""A late response must not delete a cookie that another response has set in the meantime."""

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sessions.middleware import SessionMiddleware as DjangoMiddleware
from django.http import HttpRequest, HttpResponse
from pytest_django import Settings

from cookieproj.engines.middleware import SessionMiddleware

from .contract import ALL, Engine, Open, kept, on_engines

NAME = "sessionid"
ALL_ENGINES = ALL | {"signed_cookies"}

View = Callable[[Any], object]


def respond(engine: Engine, half: str, key: str, view: View, *, middleware: Any = None) -> Any:
    """Return the response of a view, by default with the middleware of the engine's project.

    The async half ignores ``view`` and read the session.
    """

    def sync_view(request: HttpRequest) -> HttpResponse:
        view(request.session)
        return HttpResponse()

    async def async_view(request: HttpRequest) -> HttpResponse:
        await request.session.aget("a")
        return HttpResponse()

    request = HttpRequest()
    request.COOKIES[NAME] = key
    middleware = middleware or (SessionMiddleware if engine.ours else DjangoMiddleware)
    if half == "async":
        return async_to_sync(middleware(async_view))(request)
    return middleware(sync_view)(request)


def read(session: Any) -> None:
    session.get("a")


def invalid_cookie(engine: Engine, request_for: Open) -> str:
    """Return a key that was replaced by another, or a cookie with a wrong signature."""
    session = request_for().set(a=1)
    session.save()
    key: str = session.session_key
    if not engine.on_server:
        return f"{key[:-1]}{'a' if key[-1] == 'b' else 'b'}"
    session.cycle_key()
    session.save()
    return key


@pytest.mark.parametrize("saves_every_request", [False, True])
def test_request_without_session_leaves_cookie(
    engine: Engine, request_for: Open, saves_every_request: bool, settings: Settings
) -> None:
    """The key was replaced, or never existed, or is too short to be one."""
    settings.SESSION_SAVE_EVERY_REQUEST = saves_every_request
    half = request_for().half
    for key in (invalid_cookie(engine, request_for), "k" * 32, "k"):
        response = respond(engine, half, key, read)
        # The response depends on the cookie nevertheless.
        assert "Cookie" in response.headers["Vary"]
        kept(engine, not response.cookies, response.cookies, ALL_ENGINES)


@on_engines(lambda engine: engine.djangos and engine.on_server)
def test_our_middleware_leaves_cookie_with_django_engine(engine: Engine, request_for: Open) -> None:
    key = invalid_cookie(engine, request_for)
    assert not respond(engine, "sync", key, read, middleware=SessionMiddleware).cookies


def sign_out(session: Any) -> None:
    session.get("a")
    session.flush()


ENDINGS: list[View] = [
    sign_out,
    lambda session: session.flush(),
    lambda session: session.flush() or session.get("a"),
    lambda session: session.update({"a": 1}) or session.flush(),
]


@pytest.mark.parametrize("end_session", ENDINGS)
@pytest.mark.parametrize("exists", [True, False])
def test_request_that_ends_session_deletes_cookie(
    engine: Engine, request_for: Open, end_session: View, exists: bool
) -> None:
    session = request_for().set(a=1)
    session.save()
    key = session.session_key if exists else invalid_cookie(engine, request_for)
    response = respond(engine, "sync", key, end_session)
    assert response.cookies[NAME].value == ""
    assert response.cookies[NAME]["max-age"] == 0
    assert "Cookie" in response.headers["Vary"]


def test_request_that_writes_gets_new_cookie(engine: Engine, request_for: Open) -> None:
    key = invalid_cookie(engine, request_for)
    response = respond(engine, "sync", key, lambda session: session.update({"b": 2}))
    new = response.cookies[NAME].value
    assert new not in {"", key}
    assert request_for(new).data == {"b": 2}


@on_engines(lambda engine: engine.ours)
def test_request_that_clears_without_loading_and_writes_gets_new_cookie(
    engine: Engine, request_for: Open
) -> None:
    """The save must not raise UpdateError, since the browser would send the cookie again."""

    def start_over(session: Any) -> None:
        session.clear()
        session["b"] = 2

    key = invalid_cookie(engine, request_for)
    response = respond(engine, "sync", key, start_over)
    new = response.cookies[NAME].value
    assert new not in {"", key}
    assert request_for(new).data == {"b": 2}


def test_request_that_clears_session_keeps_cookie(engine: Engine, request_for: Open) -> None:
    session = request_for().set(a=1)
    session.save()
    response = respond(engine, "sync", session.session_key, lambda session: session.clear())
    assert request_for(response.cookies[NAME].value).data == {}
    assert response.cookies[NAME].value != ""
