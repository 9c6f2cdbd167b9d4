"""A session store that is away, as the visitor sees it: the 503, and what becomes of the cookie."""

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
    """Nothing is read: what fails is the middleware's own save."""
    request.session.clear()
    return HttpResponse("saved")


def breaks(request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError


async def reads_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(await request.session.aget("a")))


urlpatterns = [
    # The page for the 503 links to them.
    path("site/", include("cookieproj.urls")),
    *(
        path(f"{view.__name__}/", view)
        for view in (plain, reads, writes, saves, breaks, reads_async)
    ),
]


@pytest.fixture(autouse=True)
def away(settings: Settings) -> None:
    """The cache profile, and no Redis where its URL says."""
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
def test_it_is_a_503_that_leaves_the_cookie_and_names_nothing(
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


def test_a_page_without_the_session_goes_on(visitor: Client) -> None:
    assert visitor.get("/plain/").content == b"plain"


def test_nor_does_saving_every_request_hide_it(visitor: Client, settings: Settings) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True
    assert visitor.get("/plain/").status_code == 503


def test_another_middleware_may_ask_first(visitor: Client, settings: Settings) -> None:
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    response = visitor.get("/plain/")
    assert response.status_code == 503
    assert "Set-Cookie" not in response.headers


def test_other_errors_are_what_they_were(visitor: Client) -> None:
    assert visitor.get("/breaks/").status_code == 500


def test_without_a_page_for_it_there_is_a_sentence(visitor: Client, settings: Settings) -> None:
    settings.TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]
    response = visitor.get("/reads/")
    assert response.status_code == 503
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.content.decode().endswith("Please try again.")


def test_async_alike() -> None:
    client = AsyncClient(raise_request_exception=False)
    client.cookies["sessionid"] = KEY
    response = async_to_sync(client.get)("/reads_async/")
    assert response.status_code == 503
    assert "Set-Cookie" not in response.headers


class TestASessionLeftAlone:
    def request_with(self, key: str) -> HttpRequest:
        request = HttpRequest()
        request.COOKIES["sessionid"] = key
        return request

    def test_is_not_even_made(self, settings: Settings) -> None:
        store = mock.Mock()
        middleware: Any = SessionMiddleware(plain)
        middleware.SessionStore = store
        response = middleware(self.request_with(KEY))
        assert not store.called
        assert not response.cookies
        assert not response.has_header("Vary")

    def test_is_saved_where_each_request_saves(self, settings: Settings) -> None:
        settings.SESSION_ENGINE = "cookieproj.engines.signed_cookies"
        settings.SESSION_SAVE_EVERY_REQUEST = True
        session = SignedCookies()
        session["a"] = 1
        session.save()
        response: Any = SessionMiddleware(plain)(self.request_with(session.session_key or ""))
        assert SignedCookies(response.cookies["sessionid"].value)["a"] == 1

    def test_is_the_engines_own_for_whoever_looks(self, settings: Settings) -> None:
        settings.SESSION_ENGINE = "cookieproj.engines.signed_cookies"
        seen: list[object] = []

        def view(request: HttpRequest) -> HttpResponse:
            seen.extend((isinstance(request.session, SignedCookies), request.session.session_key))
            return HttpResponse()

        SessionMiddleware(view)(self.request_with(KEY))
        assert seen == [True, KEY]

    def test_a_request_whose_session_was_taken_away_is_answered(self) -> None:
        def view(request: HttpRequest) -> HttpResponse:
            del request.session
            return HttpResponse("gone")

        response: Any = SessionMiddleware(view)(self.request_with(KEY))
        assert response.content == b"gone"

    def test_a_request_goes_as_soon_as_it_is_answered(self, settings: Settings) -> None:
        """Without waiting for the collector of garbage, which would take its time later."""
        settings.SESSION_ENGINE = "cookieproj.engines.signed_cookies"

        def view(request: HttpRequest) -> HttpResponse:
            return HttpResponse(str(request.session.get("a")))

        request = self.request_with(KEY)
        gone = weakref.ref(request)
        gc.disable()
        try:
            SessionMiddleware(view)(request)
            del request
            assert gone() is None
        finally:
            gc.enable()
