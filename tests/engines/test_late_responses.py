"""Which answer deletes the browser's cookie: one that has found nothing may come after another."""

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
EVERYWHERE = ALL | {"signed_cookies"}

View = Callable[[Any], object]


def served(engine: Engine, half: str, key: str, view: View, *, middleware: Any = None) -> Any:
    """The answer of a view that does that with its session, under the engine's own middleware."""

    def answer(request: HttpRequest) -> HttpResponse:
        view(request.session)
        return HttpResponse()

    async def answer_async(request: HttpRequest) -> HttpResponse:
        await request.session.aget("a")
        return HttpResponse()

    request = HttpRequest()
    request.COOKIES[NAME] = key
    middleware = middleware or (SessionMiddleware if engine.ours else DjangoMiddleware)
    if half == "async":
        return async_to_sync(middleware(answer_async))(request)
    return middleware(answer)(request)


def reads(session: Any) -> None:
    session.get("a")


def ended(engine: Engine, request_for: Open) -> str:
    """A key whose session has got another one, or a cookie whose signature does not hold."""
    session = request_for().set(a=1)
    session.save()
    key: str = session.session_key
    if not engine.on_server:
        return f"{key[:-1]}{'a' if key[-1] == 'b' else 'b'}"
    session.cycle_key()
    session.save()
    return key


@pytest.mark.parametrize("saves_every_request", [False, True])
def test_a_request_that_finds_nothing_leaves_the_cookie(
    engine: Engine, request_for: Open, saves_every_request: bool, settings: Settings
) -> None:
    """Whether the key was replaced, or there was none such, or it can be none."""
    settings.SESSION_SAVE_EVERY_REQUEST = saves_every_request
    half = request_for().half
    for key in (ended(engine, request_for), "k" * 32, "k"):
        response = served(engine, half, key, reads)
        # What it says depends on the cookie all the same.
        assert "Cookie" in response.headers["Vary"]
        kept(engine, not response.cookies, response.cookies, EVERYWHERE)


@on_engines(lambda engine: engine.djangos and engine.on_server)
def test_so_it_does_on_djangos_engines_under_our_middleware(
    engine: Engine, request_for: Open
) -> None:
    key = ended(engine, request_for)
    assert not served(engine, "sync", key, reads, middleware=SessionMiddleware).cookies


def logs_out(session: Any) -> None:
    session.get("a")
    session.flush()


ENDINGS: list[View] = [
    logs_out,
    lambda session: session.flush(),
    lambda session: session.flush() or session.get("a"),
    lambda session: session.update({"a": 1}) or session.flush(),
]


@pytest.mark.parametrize("ends", ENDINGS)
@pytest.mark.parametrize("is_there", [True, False])
def test_one_that_ends_its_session_deletes_it(
    engine: Engine, request_for: Open, ends: View, is_there: bool
) -> None:
    session = request_for().set(a=1)
    session.save()
    key = session.session_key if is_there else ended(engine, request_for)
    response = served(engine, "sync", key, ends)
    assert response.cookies[NAME].value == ""
    assert response.cookies[NAME]["max-age"] == 0
    assert "Cookie" in response.headers["Vary"]


def test_one_that_stores_something_gets_a_key_of_its_own(engine: Engine, request_for: Open) -> None:
    key = ended(engine, request_for)
    response = served(engine, "sync", key, lambda session: session.update({"b": 2}))
    new = response.cookies[NAME].value
    assert new not in {"", key}
    assert request_for(new).data == {"b": 2}


@on_engines(lambda engine: engine.ours)
def test_so_does_one_that_empties_it_unread(engine: Engine, request_for: Open) -> None:
    """Again and again, as the cookie stays: it is no error."""

    def begins_anew(session: Any) -> None:
        session.clear()
        session["b"] = 2

    key = ended(engine, request_for)
    response = served(engine, "sync", key, begins_anew)
    new = response.cookies[NAME].value
    assert new not in {"", key}
    assert request_for(new).data == {"b": 2}


def test_a_session_that_is_emptied_keeps_its_cookie(engine: Engine, request_for: Open) -> None:
    session = request_for().set(a=1)
    session.save()
    response = served(engine, "sync", session.session_key, lambda session: session.clear())
    assert request_for(response.cookies[NAME].value).data == {}
    assert response.cookies[NAME].value != ""
