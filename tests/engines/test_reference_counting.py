"""Requests and sessions are in no reference cycle, so they are freed without garbage collection.

Until a collection they would use memory, and the more there are, the longer it takes.
"""

import gc
import logging
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as site
from django.contrib.sessions.middleware import SessionMiddleware as DjangoMiddleware
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.middleware import SessionMiddleware
from tests.stores import instead, steps_of

from .contract import Engine, on_engines
from .handover_switch import Browser, Switch

Use = Callable[[Any], object]


@pytest.fixture(autouse=True)
def no_garbage_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def middleware_of(engine: Engine) -> Any:
    return DjangoMiddleware if engine.djangos else SessionMiddleware


def cookie_of(response: HttpResponse) -> str:
    morsel = response.cookies.get(site.SESSION_COOKIE_NAME)
    return morsel.value if morsel else ""


def visit(
    engine: Engine, use: Use, cookie: str = "", *, with_session: bool = True
) -> tuple[HttpResponse, list[weakref.ref[Any]]]:
    """Return the response, and weak references to the request and its session."""
    references: list[weakref.ref[Any]] = []

    def view(request: HttpRequest) -> HttpResponse:
        use(request.session)
        if with_session:
            references.append(weakref.ref(request.session))
        return HttpResponse()

    request = RequestFactory().get("/")
    request.COOKIES[site.SESSION_COOKIE_NAME] = cookie
    references.append(weakref.ref(request))
    return middleware_of(engine)(view)(request), references


def are_freed(references: list[weakref.ref[Any]]) -> bool:
    return not any(reference() is not None for reference in references)


def in_transaction(session: Any) -> None:
    with transaction.atomic():
        session["b"] = 2
        session.save()


def rolled_back(session: Any) -> None:
    with transaction.atomic():
        session["b"] = 2
        session.save()
        transaction.set_rollback(True)
    session["c"] = 3


USES: dict[str, Use] = {
    "read": lambda session: session.get("a"),
    "change": lambda session: session.update({"b": 2}),
    "save twice": lambda session: (
        session.update({"b": 2}),
        session.save(),
        session.update({"c": 3}),
    ),
    "save unchanged": lambda session: (session.get("a"), session.save()),
    "cycle key": lambda session: session.cycle_key(),
    "save in transaction": in_transaction,
    "roll back": rolled_back,
    "flush": lambda session: session.flush(),
}


@pytest.mark.parametrize("use", USES)
def test_request_and_session_are_freed(engine: Engine, use: str) -> None:
    response, references = visit(engine, lambda session: session.update({"a": 1}))
    assert are_freed(references)
    response, references = visit(engine, USES[use], cookie_of(response))
    assert response.status_code == 200
    assert are_freed(references)


def test_unused_session_does_not_keep_its_request(engine: Engine) -> None:
    """The request is freed even while the session is kept."""
    sessions: list[Any] = []
    response, _references = visit(engine, lambda session: session.update({"a": 1}))
    _response, references = visit(engine, sessions.append, cookie_of(response), with_session=False)
    assert are_freed(references)


def test_session_can_be_loaded_after_its_request(engine: Engine) -> None:
    """For example by a thread to which the view has passed only the session."""
    sessions: list[Any] = []
    response, _references = visit(engine, lambda session: session.update({"a": 1}))
    cookie = f"{site.SESSION_COOKIE_NAME}={cookie_of(response)}"

    def view(request: HttpRequest) -> HttpResponse:
        sessions.append(request.session)
        return HttpResponse()

    middleware_of(engine)(view)(RequestFactory(HTTP_COOKIE=cookie).get("/"))
    assert sessions[0]["a"] == 1


def test_session_used_by_async_code_is_freed(engine: Engine) -> None:
    async def use(session: Any) -> None:
        await session.aset("a", 1)
        await session.asave()
        await session.aget("a")

    session = engine.Store(None)
    async_to_sync(use)(session)
    reference = weakref.ref(session)
    del session
    assert reference() is None


def test_sessions_of_handover_are_freed(switch: Switch) -> None:
    """During the move and after it. With a cookie engine these are the old and the new session."""
    browser, references = Browser(), list[weakref.ref[Any]]()
    browser.visit(lambda session: session.update({"a": 1}))
    switch.make()

    def view(session: Any) -> None:
        session["b"] = session["a"]
        # The session itself, without the lazy object around it.
        references.append(weakref.ref(getattr(session, "_wrapped", session)))

    for _visit in range(3):
        browser.visit(view)
    assert are_freed(references)


@on_engines(lambda engine: engine.ours and engine.on_server)
@pytest.mark.parametrize("saved_by", ["view", "middleware"])
def test_request_is_freed_after_store_error(
    engine: Engine, saved_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pytest keeps the log records, which refer to the request.
    monkeypatch.setattr(logging.getLogger("django.request"), "disabled", True)

    def fail(*_arguments: Any, **_options: Any) -> None:
        raise StoreUnavailableError("the store", "It does not answer.")

    def view(request: HttpRequest) -> Any:
        request.session["a"] = 1
        try:
            if saved_by == "view":
                request.session.save()
        except StoreUnavailableError as error:
            return middleware.process_exception(request, error)
        return HttpResponse()

    middleware = SessionMiddleware(view)
    request = RequestFactory().get("/")
    reference = weakref.ref(request)
    with steps_of(engine.Store, insert=instead(fail)):
        response = middleware(request)
    assert response.status_code == 503
    del request
    assert reference() is None


@on_engines(lambda engine: engine.name in {"db", "cached_db", "file"})
def test_session_with_own_decode_is_freed(engine: Engine) -> None:
    """The store calls ``decode`` of the session, so it refers to the session."""

    class SessionStore(engine.Store):  # type: ignore[name-defined,misc]
        def decode(self, session_data: Any) -> Any:
            return super().decode(session_data)

    session = SessionStore()
    session["a"] = 1
    session.save()
    session = SessionStore(session.session_key)
    session["b"] = session["a"]
    session.save()
    reference = weakref.ref(session)
    del session
    assert reference() is None
