"""The session middleware: the 503 for an unreachable store, and sessions that no view uses."""

import gc
import weakref
from typing import Any
from unittest import mock

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import include, path
from pytest_django import Settings

from cookieproj.engines.middleware import SessionMiddleware
from cookieproj.engines.signed_cookies import SessionStore as SignedCookies
from cookieproj.settings.caches import caches

KEY = "k" * 32


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


def reads(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(request.session.get("a")))


def writes(request: HttpRequest) -> HttpResponse:
    request.session["a"] = 1
    return HttpResponse("written")


def saves(request: HttpRequest) -> HttpResponse:
    """Load nothing, so that only the save by the middleware fails."""
    request.session.clear()
    return HttpResponse("saved")


def breaks(request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError


async def reads_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(await request.session.aget("a")))


urlpatterns = [
    # The 503 page links to these.
    path("site/", include("cookieproj.urls")),
    *(
        path(f"{view.__name__}/", view)
        for view in (plain, reads, writes, saves, breaks, reads_async)
    ),
]


@pytest.fixture(autouse=True)
def unreachable_redis(settings: Settings) -> None:
    """Use the cache profile with a Redis URL at which no server listens."""
    settings.ROOT_URLCONF = __name__
    settings.SESSION_ENGINE = "cookieproj.engines.cache"
    settings.SESSION_CACHE_ALIAS = "sessions"
    settings.CACHES = caches("redis://user:password@127.0.0.1:1/0")


@pytest.fixture
def visitor() -> Client:
    client = Client(raise_request_exception=False)
    client.cookies["sessionid"] = KEY
    return client


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("view", ["reads", "writes", "saves", "reads_async"])
def test_unreachable_store_gives_503_and_keeps_cookie_and_hides_host(
    view: str, debug: bool, visitor: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.DEBUG = debug
    response = visitor.get(f"/{view}/")
    assert response.status_code == 503
    assert "sessionid" not in response.cookies
    assert "Set-Cookie" not in response.headers
    text = response.content.decode()
    assert "reload the page" in text
    assert "127.0.0.1" not in text
    (record,) = [record for record in caplog.records if record.name == "django.request"]
    assert record.levelname == "ERROR"
    assert "Redis 127.0.0.1:1/1" in record.getMessage()
    assert "password" not in caplog.text
    assert KEY not in caplog.text


def test_page_without_session_needs_no_store(visitor: Client) -> None:
    assert visitor.get("/plain/").content == b"plain"


def test_save_every_request_gives_503_for_page_without_session(
    visitor: Client, settings: Settings
) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True
    assert visitor.get("/plain/").status_code == 503


def test_503_if_another_middleware_loads_session_first(visitor: Client, settings: Settings) -> None:
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    response = visitor.get("/plain/")
    assert response.status_code == 503
    assert "Set-Cookie" not in response.headers


def test_error_of_view_gives_500(visitor: Client) -> None:
    assert visitor.get("/breaks/").status_code == 500


def test_503_is_plain_text_without_template(visitor: Client, settings: Settings) -> None:
    settings.TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]
    response = visitor.get("/reads/")
    assert response.status_code == 503
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.content.decode().endswith("Please try again.")


def test_async_view_gives_503_and_keeps_cookie() -> None:
    client = AsyncClient(raise_request_exception=False)
    client.cookies["sessionid"] = KEY
    response = async_to_sync(client.get)("/reads_async/")
    assert response.status_code == 503
    assert "Set-Cookie" not in response.headers


class TestUnusedSession:
    def request_with(self, key: str) -> HttpRequest:
        request = HttpRequest()
        request.COOKIES["sessionid"] = key
        return request

    def test_is_not_created(self, settings: Settings) -> None:
        store = mock.Mock()
        middleware: Any = SessionMiddleware(plain)
        middleware.SessionStore = store
        response = middleware(self.request_with(KEY))
        assert not store.called
        assert not response.cookies
        assert not response.has_header("Vary")

    def test_is_saved_with_save_every_request(self, settings: Settings) -> None:
        settings.SESSION_ENGINE = "cookieproj.engines.signed_cookies"
        settings.SESSION_SAVE_EVERY_REQUEST = True
        session = SignedCookies()
        session["a"] = 1
        session.save()
        response: Any = SessionMiddleware(plain)(self.request_with(session.session_key or ""))
        assert SignedCookies(response.cookies["sessionid"].value)["a"] == 1

    def test_has_class_of_engine(self, settings: Settings) -> None:
        settings.SESSION_ENGINE = "cookieproj.engines.signed_cookies"
        seen: list[object] = []

        def view(request: HttpRequest) -> HttpResponse:
            seen.extend((isinstance(request.session, SignedCookies), request.session.session_key))
            return HttpResponse()

        SessionMiddleware(view)(self.request_with(KEY))
        assert seen == [True, KEY]

    def test_response_if_view_deletes_request_session(self) -> None:
        def view(request: HttpRequest) -> HttpResponse:
            del request.session
            return HttpResponse("gone")

        response: Any = SessionMiddleware(view)(self.request_with(KEY))
        assert response.content == b"gone"

    def test_request_is_freed_after_response(self, settings: Settings) -> None:
        """A reference cycle would leave it to the garbage collector, which costs time later."""
        settings.SESSION_ENGINE = "cookieproj.engines.signed_cookies"

        def view(request: HttpRequest) -> HttpResponse:
            return HttpResponse(str(request.session.get("a")))

        request = self.request_with(KEY)
        reference = weakref.ref(request)
        gc.disable()
        try:
            SessionMiddleware(view)(request)
            del request
            assert reference() is None
        finally:
            gc.enable()


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("is_async", [True, False])
def test_error_page_that_reads_the_session_is_not_rendered(
    is_async: bool, debug: bool, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """With CSRF_USE_SESSIONS a middleware reads it, and then the page of its error does."""
    settings.CSRF_USE_SESSIONS, settings.DEBUG = True, debug
    settings.MIDDLEWARE = [
        "cookieproj.engines.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ]
    if is_async:
        client: Any = AsyncClient(raise_request_exception=False)
        client.cookies["sessionid"] = KEY
        response = async_to_sync(client.get)("/plain/")
    else:
        client = Client(raise_request_exception=False)
        client.cookies["sessionid"] = KEY
        response = client.get("/plain/")
    assert response.status_code == 503
    assert not response.cookies
