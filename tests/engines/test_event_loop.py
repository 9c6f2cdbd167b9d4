"""Async views that use the sync half of a session: what Django refuses is refused, and no more.

Django's engines on a database raise SynchronousOnlyOperation on the event loop, the others do
what they are asked, and keep the loop waiting. Whatever a view was refused, nothing is lost:
the browser keeps its cookie, and the next request has the session.
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

# What a view does, and what the session holds after it where it held a=1, and was not read before.
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

# Let them pass where they are refused, and the session is empty all the same.
EMPTYING = {"delete", "flush", "clear and save", "clear and cycle_key"}

# They need no store.
ASKED_ONLY = {"session_key", "is_empty"}

# Where there is a copy of the session in a cache.
READING = {"get", "get_expiry_age", "update"}

every_step = pytest.mark.parametrize("step", STEPS)


def data_after(step: str, engine: str, read: bool) -> dict[str, Any]:
    """A new session is made of what was read; on signed cookies it is none till it is saved."""
    keeps = step == "create" and (read or engine in IN_COOKIES)
    return {"a": 1} if keeps else STEPS[step][1]


def visit(browser: Browser, view: Callable[[Any], Any], *, read: bool, status: int) -> bool:
    """Whether Django refuses that in an async view.

    The view has read the session before, by the async half, if ``read``. Where it is refused,
    the response is of that status: 500, or another of a view that lets the refusal pass.
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
    answer(browser, middleware)
    return refused


def answer(browser: Browser, middleware: Any) -> None:
    """Each loop has a connection of its own to the database, which ends with this context.

    That of the thread would keep it, and every later call of asynchronous code would take it along.
    """
    browser.receive(copy_context().run(async_to_sync(middleware), browser.request()).cookies)


@every_step
@pytest.mark.parametrize(("read", "status"), [(False, 500), (False, 200), (True, 500)])
@on_engines(lambda engine: engine.on_server)
def test_what_djangos_engines_refuse(engine: Engine, step: str, read: bool, status: int) -> None:
    """And no more than that; on ours as on theirs."""
    browser = Browser(middleware=DjangosMiddleware)
    browser.set(a=1)
    cookie = browser.cookie
    refused = visit(browser, STEPS[step][0], read=read, status=status)
    in_memory = read and step in READING
    has_copy = engine.name == "cached_db" and step in READING
    needs_database = not (step in ASKED_ONLY or in_memory or has_copy)
    assert refused == (bool(engine.database) and needs_database)
    if not refused:
        assert browser.read() == data_after(step, engine.name, read)
    elif status == 500 or step not in EMPTYING:
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
def test_nothing_is_lost_in_a_switch(
    switch: Switch, step: str, middleware: Any, read: bool, status: int
) -> None:
    browser = browser_of_moved_session(switch)
    browser.middleware = middleware
    before = browser.copy()
    refused = visit(browser, STEPS[step][0], read=read, status=status)
    has_rows = {"db", "cached_db"} & {switch.old, switch.new}
    assert not refused or (has_rows and step not in ASKED_ONLY)
    if not refused:
        assert browser.read() == data_after(step, switch.new, read)
    elif status == 500 or step not in EMPTYING:
        assert before.read() == {"a": 1}
        assert browser.read() == {"a": 1}


def test_a_sign_out_after_a_refusal_ends_it(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    before = browser.copy()

    async def respond(request: HttpRequest) -> HttpResponse:
        with suppress(SynchronousOnlyOperation):
            request.session.get("a")
        await request.session.aflush()
        return HttpResponse()

    middleware: Any = SessionMiddleware(respond)
    answer(browser, middleware)
    assert browser.cookie is None
    assert before.read() == {}


def test_a_cache_in_a_database_refuses_as_databases_do(
    settings: Settings, transactional_db: None
) -> None:
    """And is not taken for one that does not answer."""
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
