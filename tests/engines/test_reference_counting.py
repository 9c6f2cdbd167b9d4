"""A request and its session are freed as the last who holds them lets go, not by the collector.

Until it comes by they take memory, and it takes longer the more of them there are.
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
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def middleware_of(engine: Engine) -> Any:
    return DjangoMiddleware if engine.djangos else SessionMiddleware


def cookie_of(response: HttpResponse) -> str:
    morsel = response.cookies.get(site.SESSION_COOKIE_NAME)
    return morsel.value if morsel else ""


def visit(
    engine: Engine, use: Use, cookie: str = "", *, whole: bool = True
) -> tuple[HttpResponse, list[weakref.ref[Any]]]:
    """A request: its response, and what nobody should hold any more."""
    left: list[weakref.ref[Any]] = []

    def view(request: HttpRequest) -> HttpResponse:
        use(request.session)
        if whole:
            left.append(weakref.ref(request.session))
        return HttpResponse()

    request = RequestFactory().get("/")
    request.COOKIES[site.SESSION_COOKIE_NAME] = cookie
    left.append(weakref.ref(request))
    return middleware_of(engine)(view)(request), left


def has_gone(left: list[weakref.ref[Any]]) -> bool:
    return not any(each() is not None for each in left)


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
    "changed": lambda session: session.update({"b": 2}),
    "saved twice": lambda session: (
        session.update({"b": 2}),
        session.save(),
        session.update({"c": 3}),
    ),
    "saved as it was": lambda session: (session.get("a"), session.save()),
    "given a new key": lambda session: session.cycle_key(),
    "saved in a transaction": in_transaction,
    "rolled back": rolled_back,
    "emptied": lambda session: session.flush(),
}


@pytest.mark.parametrize("use", USES)
def test_a_request_with_a_session(engine: Engine, use: str) -> None:
    response, left = visit(engine, lambda session: session.update({"a": 1}))
    assert has_gone(left)
    response, left = visit(engine, USES[use], cookie_of(response))
    assert response.status_code == 200
    assert has_gone(left)


def test_a_request_that_leaves_its_session_alone(engine: Engine) -> None:
    """Also one whose session somebody goes on holding: that does not hold the request."""
    held: list[Any] = []
    response, _left = visit(engine, lambda session: session.update({"a": 1}))
    _response, left = visit(engine, held.append, cookie_of(response), whole=False)
    assert has_gone(left)


def test_a_session_that_is_first_looked_at_after_its_request(engine: Engine) -> None:
    """By a thread say, which has been given that alone."""
    held: list[Any] = []
    response, _left = visit(engine, lambda session: session.update({"a": 1}))
    cookie = f"{site.SESSION_COOKIE_NAME}={cookie_of(response)}"

    def view(request: HttpRequest) -> HttpResponse:
        held.append(request.session)
        return HttpResponse()

    middleware_of(engine)(view)(RequestFactory(HTTP_COOKIE=cookie).get("/"))
    assert held[0]["a"] == 1


def test_a_session_of_an_async_view(engine: Engine) -> None:
    async def used(session: Any) -> None:
        await session.aset("a", 1)
        await session.asave()
        await session.aget("a")

    session = engine.Store(None)
    async_to_sync(used)(session)
    left = weakref.ref(session)
    del session
    assert left() is None


def test_a_session_that_is_handed_over(switch: Switch) -> None:
    """As it is moved, and after that; to signed cookies with the one that it came from."""
    browser, left = Browser(), list[weakref.ref[Any]]()
    browser.visit(lambda session: session.update({"a": 1}))
    switch.make()

    def view(session: Any) -> None:
        session["b"] = session["a"]
        # The session itself, not what makes it when somebody first looks at it.
        left.append(weakref.ref(getattr(session, "_wrapped", session)))

    for _visit in range(3):
        browser.visit(view)
    assert has_gone(left)


@on_engines(lambda engine: engine.ours and engine.on_server)
@pytest.mark.parametrize("where", ["in its view", "as it is saved"])
def test_a_request_whose_store_fails(
    engine: Engine, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What pytest keeps of the log has the request.
    monkeypatch.setattr(logging.getLogger("django.request"), "disabled", True)

    def fails(*_arguments: Any, **_options: Any) -> None:
        raise StoreUnavailableError("the store", "It is away.")

    def view(request: HttpRequest) -> Any:
        request.session["a"] = 1
        try:
            if where == "in its view":
                request.session.save()
        except StoreUnavailableError as error:
            return middleware.process_exception(request, error)
        return HttpResponse()

    middleware = SessionMiddleware(view)
    request = RequestFactory().get("/")
    left = weakref.ref(request)
    with steps_of(engine.Store, insert=instead(fails)):
        response = middleware(request)
    assert response.status_code == 503
    del request
    assert left() is None


@on_engines(lambda engine: engine.name in {"db", "cached_db", "file"})
def test_a_session_with_a_payload_of_its_own(engine: Engine) -> None:
    """Of a subclass, whose ``decode`` is asked of the session."""

    class SessionStore(engine.Store):  # type: ignore[name-defined,misc]
        def decode(self, session_data: Any) -> Any:
            return super().decode(session_data)

    session = SessionStore()
    session["a"] = 1
    session.save()
    session = SessionStore(session.session_key)
    session["b"] = session["a"]
    session.save()
    left = weakref.ref(session)
    del session
    assert left() is None
