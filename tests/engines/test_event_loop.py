"""Async views that call sync methods of a session: our engines refuse what Django's refuse.

Django's engines on a database raise SynchronousOnlyOperation on the event loop. The others block
the loop. A refusal loses nothing: the browser keeps its cookie, and the next request has the
session.
"""

from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sessions.middleware import SessionMiddleware as DjangosMiddleware
from django.core.exceptions import SynchronousOnlyOperation
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse
from pytest_django import Settings

from cookieproj.engines.middleware import SessionMiddleware
from tests.families import IN_COOKIES

from .contract import Engine, on_engines
from .handover_switch import Browser, Switch, browser_of_moved_session

NOTHING: dict[str, Any] = {}

# Calls in a view, each with the data that it leaves of an unread session with {"a": 1}.
STEPS: dict[str, tuple[Callable[[Any], Any], dict[str, Any]]] = {
    "session_key": (lambda session: session.session_key, {"a": 1}),
    "is_empty": (lambda session: session.is_empty(), {"a": 1}),
    "get": (lambda session: session["a"], {"a": 1}),
    "get_expiry_age": (lambda session: session.get_expiry_age(), {"a": 1}),
    "update": (lambda session: session.update({"b": 2}), {"a": 1, "b": 2}),
    "save": (lambda session: session.save(), {"a": 1}),
    "cycle_key": (lambda session: session.cycle_key(), {"a": 1}),
    "create": (lambda session: session.create(), NOTHING),
    "delete": (lambda session: session.delete(), NOTHING),
    "flush": (lambda session: session.flush(), NOTHING),
    "clear and save": (lambda session: (session.clear(), session.save()), NOTHING),
    "clear and cycle_key": (lambda session: (session.clear(), session.cycle_key()), NOTHING),
}

# A view that ignores their refusal still leaves an empty session.
EMPTYING_CALLS = {"delete", "flush", "clear and save", "clear and cycle_key"}

# They need no store at all.
WITHOUT_STORE = {"session_key", "is_empty"}

# They need no database if the session is in memory, or its copy in a cache.
READING_CALLS = {"get", "get_expiry_age", "update"}

every_step = pytest.mark.parametrize("step", STEPS)


def data_after(step: str, engine: str, read: bool) -> dict[str, Any]:
    """Return the data after the step. ``create`` keeps what was read; in cookies, all data."""
    keeps = step == "create" and (read or engine in IN_COOKIES)
    return {"a": 1} if keeps else STEPS[step][1]


def visit(browser: Browser, view: Callable[[Any], Any], *, read: bool, status: int) -> bool:
    """Call an async view, and return whether Django refuses what it does.

    With ``read`` the view first reads the session by an async method. After a refusal the response
    has that status: 500, or another one if the view ignores the refusal.
    """
    refused = False

    async def respond(request: HttpRequest) -> HttpResponse:
        nonlocal refused
        if read:
            await request.session.aget("a")
        try:
            view(request.session)
        except SynchronousOnlyOperation:
            refused = True
        return HttpResponse(status=status if refused else 200)

    middleware: Any = browser.middleware(respond)
    send(browser, middleware)
    return refused


def send(browser: Browser, middleware: Any) -> None:
    """Send the request in a context of its own, which ends the event loop's database connection.

    In the context of the thread all later async code would use that connection.
    """
    browser.receive(copy_context().run(async_to_sync(middleware), browser.request()).cookies)


@every_step
@pytest.mark.parametrize(("read", "status"), [(False, 500), (False, 200), (True, 500)])
@on_engines(lambda engine: engine.on_server)
def test_sync_methods_that_need_the_database_are_refused(
    engine: Engine, step: str, read: bool, status: int
) -> None:
    """Others are not refused, on our engines as on Django's."""
    browser = Browser(middleware=DjangosMiddleware)
    browser.set(a=1)
    cookie = browser.cookie
    refused = visit(browser, STEPS[step][0], read=read, status=status)
    in_memory = read and step in READING_CALLS
    has_copy = engine.name == "cached_db" and step in READING_CALLS
    needs_database = not (step in WITHOUT_STORE or in_memory or has_copy)
    assert refused == (bool(engine.database) and needs_database)
    if not refused:
        assert browser.read() == data_after(step, engine.name, read)
    elif status == 500 or step not in EMPTYING_CALLS:
        assert browser.cookie == cookie
        assert browser.read() == {"a": 1}


@every_step
@pytest.mark.parametrize(
    ("middleware", "read", "status"),
    [
        (DjangosMiddleware, False, 500),
        (SessionMiddleware, False, 200),
        (SessionMiddleware, True, 500),
    ],
)
def test_refusal_during_a_switch_loses_nothing(
    switch: Switch, step: str, middleware: Any, read: bool, status: int
) -> None:
    browser = browser_of_moved_session(switch)
    browser.middleware = middleware
    before = browser.copy()
    refused = visit(browser, STEPS[step][0], read=read, status=status)
    has_rows = {"db", "cached_db"} & {switch.old, switch.new}
    assert not refused or (has_rows and step not in WITHOUT_STORE)
    if not refused:
        assert browser.read() == data_after(step, switch.new, read)
    elif status == 500 or step not in EMPTYING_CALLS:
        assert before.read() == {"a": 1}
        assert browser.read() == {"a": 1}


def test_flush_after_a_refusal_ends_the_session(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    before = browser.copy()

    async def respond(request: HttpRequest) -> HttpResponse:
        with suppress(SynchronousOnlyOperation):
            request.session.get("a")
        await request.session.aflush()
        return HttpResponse()

    middleware: Any = SessionMiddleware(respond)
    send(browser, middleware)
    assert browser.cookie is None
    assert before.read() == {}


def test_cache_in_a_database_refuses_sync_methods(
    settings: Settings, transactional_db: None
) -> None:
    """The refusal is not mistaken for an unreachable cache."""
    settings.SESSION_ENGINE = "cookieproj.engines.cache"
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": "cached_sessions",
        }
    }
    settings.SESSION_CACHE_ALIAS = "default"
    call_command("createcachetable", verbosity=0)
    browser = Browser()
    browser.set(a=1)
    assert visit(browser, lambda session: session["a"], read=False, status=500)
    assert browser.read() == {"a": 1}
