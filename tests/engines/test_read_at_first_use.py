"""A session is read when its request first uses it, not before.

A view may wait for a lock first. What it then reads must be what the last holder of the lock wrote.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

from django.conf import settings as site
from django.contrib.sessions.middleware import SessionMiddleware as DjangoMiddleware
from django.core.cache import caches
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from cookieproj.engines.middleware import SessionMiddleware

from .contract import Engine, on_engines
from .test_sql_errors import stored

pytestmark = on_engines(lambda engine: engine.on_server)

REQUESTS = 5


def site_with(engine: Engine, view: Callable[[HttpRequest], object]) -> Callable[[str], str]:
    """Return a function that sends a request with that session key, and returns the answer."""
    class_ = SessionMiddleware if engine.ours else DjangoMiddleware
    middleware = class_(lambda request: HttpResponse(str(view(request))))

    def get(session_key: str) -> str:
        request = RequestFactory().get("/")
        request.COOKIES[site.SESSION_COOKIE_NAME] = session_key
        response: Any = middleware(request)
        return str(response.content.decode())

    return get


def close_all() -> None:
    """Close what this thread has opened."""
    connections.close_all()
    caches.close_all()


def test_change_while_the_view_waits_is_read(engine: Engine) -> None:
    key = stored(engine, a=0).session_key
    numbers = iter(range(1, REQUESTS + 1))

    def change(value: int) -> None:
        """In a thread, as in another process."""
        session = engine.Store(key)
        session["a"] = value
        session.save()
        close_all()

    def view(request: HttpRequest) -> int:
        pool.submit(change, next(numbers)).result()
        value: int = request.session["a"]
        return value

    get = site_with(engine, view)
    with ThreadPoolExecutor(1) as pool:
        answers = [get(key) for _ in range(REQUESTS)]
    assert answers == ["1", "2", "3", "4", "5"]


def test_writes_under_a_lock_of_the_site_lose_nothing(engine: Engine) -> None:
    """Without ``apply``: the lock is enough."""
    key, lock = stored(engine, n=0).session_key, Lock()

    def view(request: HttpRequest) -> None:
        with lock:
            request.session["n"] += 1
            request.session.save()
        # Django's middleware would save all data once more, without the lock.
        request.session.modified = False

    get = site_with(engine, view)

    def visit(_number: int) -> None:
        for _ in range(REQUESTS):
            get(key)
        close_all()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(visit, range(3)))
    assert engine.Store(key)["n"] == 3 * REQUESTS
