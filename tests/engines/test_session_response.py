"""The response to a request is that of Django's middleware, except for a session not found."""

import random
from itertools import product
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware as DjangoMiddleware
from django.http import HttpRequest, HttpResponse
from django.utils import http
from pytest_django import Settings

from cookieproj.engines import middleware as middleware_module
from cookieproj.engines.middleware import SessionMiddleware
from cookieproj.engines.session_response import http_date
from cookieproj.engines.signed_cookies import SessionStore

from .test_signatures import imported_again

SECOND = 1_800_000_000


def view(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


@pytest.fixture(autouse=True)
def signed_cookies(settings: Settings) -> None:
    settings.SESSION_ENGINE = "cookieproj.engines.signed_cookies"


def stored(**data: Any) -> str:
    session = SessionStore()
    session.update(data)
    session.save()
    return str(session.session_key)


def request_with(cookie: str | None) -> HttpRequest:
    request = HttpRequest()
    if cookie is not None:
        request.COOKIES["sessionid"] = cookie
    return request


def headers(response: Any) -> tuple[str, dict[str, str]]:
    return response.cookies.output(), dict(response.headers)


def read(session: Any) -> None:
    session.get("a")


def write(session: Any) -> None:
    session["b"] = 2


def set_expiry(session: Any) -> None:
    session.set_expiry(60)


def until_closed(session: Any) -> None:
    session.set_expiry(0)


def flush(session: Any) -> None:
    session.flush()


def mark(session: Any) -> None:
    session.modified = True


def ask(session: Any) -> None:
    assert (session.accessed, session.modified) == (False, False)


STEPS = [read, write, set_expiry, until_closed, flush, mark, ask]


@pytest.mark.parametrize("changed", [{}, {"SESSION_SAVE_EVERY_REQUEST": True}])
@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"SESSION_COOKIE_SECURE": True, "SESSION_COOKIE_HTTPONLY": False},
        {"SESSION_COOKIE_DOMAIN": "example.com", "SESSION_COOKIE_PATH": "/shop/"},
        {"SESSION_COOKIE_SAMESITE": "None", "SESSION_EXPIRE_AT_BROWSER_CLOSE": True},
    ],
)
def test_response_is_that_of_djangos_middleware(
    settings: Settings, changed: dict[str, Any], attributes: dict[str, Any]
) -> None:
    for name, value in (changed | attributes).items():
        setattr(settings, name, value)
    statuses, vary = (200, 302, 404, 500, 503), (None, "Accept", "accept, cookie", "*")
    with time_machine.travel(SECOND, tick=False):
        cookies = (stored(a=1), None)
        for step, status, varies, cookie in product(STEPS, statuses, vary, cookies):

            def stepping(
                request: HttpRequest, step: Any = step, status: int = status, varies: Any = varies
            ) -> HttpResponse:
                step(request.session)
                return HttpResponse(status=status, headers={"Vary": varies} if varies else None)

            ours, djangos = (
                middleware(stepping)(request_with(cookie))
                for middleware in (SessionMiddleware, DjangoMiddleware)
            )
            assert headers(ours) == headers(djangos), (step.__name__, status, varies, cookie)


def test_interrupted_session_has_djangos_words(settings: Settings) -> None:
    def ended(self: Any, must_create: bool = False) -> None:
        raise UpdateError

    def writing(request: HttpRequest) -> HttpResponse:
        write(request.session)
        return HttpResponse()

    texts = set()
    with mock.patch.object(SessionStore, "save", ended):
        for middleware in (SessionMiddleware, DjangoMiddleware):
            with pytest.raises(SessionInterrupted) as raised:
                middleware(writing)(request_with(None))
            texts.add(str(raised.value))
    assert len(texts) == 1


def test_date_is_djangos() -> None:
    chosen = random.Random(0)
    for _ in range(5000):
        seconds = chosen.uniform(0, 253_402_300_799)
        # Django's date rounds to microseconds, so the last of a second can be the next one.
        assert http_date(seconds) in {http.http_date(seconds), http.http_date(int(seconds))}
    assert http_date(0) == http.http_date(0)
    for seconds in (-1, -62_135_596_800):
        assert http_date(seconds) == http.http_date(seconds)
    for seconds in (253_402_300_800, -62_135_596_801):
        with pytest.raises(ValueError, match="year"):
            http_date(seconds)


class TestSubclassOfASite:
    """What a site builds on our middleware, or on Django's beside it, has its part."""

    def response_by(self, middleware: Any) -> Any:
        def reading(request: HttpRequest) -> HttpResponse:
            read(request.session)
            return HttpResponse()

        return middleware(reading)(request_with(stored(a=1)))

    def test_overrides_both_methods(self) -> None:
        class Middleware(SessionMiddleware):
            def process_request(self, request: HttpRequest) -> None:
                super().process_request(request)
                request.session["b"] = 2

            def process_response(self, request: HttpRequest, response: Any) -> Any:
                response = super().process_response(request, response)
                response.headers["X-Session"] = str(request.session["b"])
                return response

        response = self.response_by(Middleware)
        assert response.headers["X-Session"] == "2"
        assert SessionStore(response.cookies["sessionid"].value)["b"] == 2

    def test_opens_sessions_itself(self) -> None:
        class Middleware(SessionMiddleware):
            def process_request(self, request: HttpRequest) -> None:
                request.session = self.SessionStore(request.COOKIES["sessionid"])
                request.session["b"] = 2

        response = self.response_by(Middleware)
        assert SessionStore(response.cookies["sessionid"].value)["b"] == 2

    def test_returns_a_response_of_its_own(self) -> None:
        class Middleware(SessionMiddleware):
            def process_request(self, request: HttpRequest) -> Any:
                super().process_request(request)
                return HttpResponse(status=403)

        assert self.response_by(Middleware).status_code == 403

    def test_combines_ours_with_another_subclass_of_djangos(self) -> None:
        class Other(DjangoMiddleware):
            def process_response(self, request: HttpRequest, response: Any) -> Any:
                response = super().process_response(request, response)
                response.headers["X-Other"] = "yes"
                return response

        class Middleware(SessionMiddleware, Other):
            pass

        response = self.response_by(Middleware)
        assert response.headers["X-Other"] == "yes"
        assert response.headers["Vary"] == "Cookie"

    def test_patch_of_djangos_method_is_called(self) -> None:
        original = DjangoMiddleware.process_response

        def patched(self: Any, request: HttpRequest, response: Any) -> Any:
            response.headers["X-Patched"] = "yes"
            return original(self, request, response)

        with mock.patch.object(DjangoMiddleware, "process_response", patched):
            response = self.response_by(SessionMiddleware)
        assert response.headers["X-Patched"] == "yes"
        assert response.headers["Vary"] == "Cookie"

    def test_patch_from_before_the_import_is_called(self) -> None:
        def patched(self: Any, request: HttpRequest, response: Any) -> Any:
            return response

        with mock.patch.object(DjangoMiddleware, "process_response", patched):
            again = imported_again(middleware_module)
            assert not again.follows_django(again.SessionMiddleware(view).process_response)
            assert not again.follows_django(DjangoMiddleware(view).process_response)
        assert imported_again(middleware_module).follows_django(
            DjangoMiddleware(view).process_response
        )

    def test_wrapper_that_equals_djangos_method_is_noticed(self) -> None:
        """As those of wrapt, which forward ``__func__`` too."""
        method: Any = DjangoMiddleware(view).process_response

        class Wrapper:
            __func__ = method.__func__

            def __eq__(self, other: object) -> bool:
                return bool(method == other)

            __hash__ = None  # type: ignore[assignment]

        assert not middleware_module.follows_django(Wrapper())

    def test_puts_the_session_aside_for_a_while(self) -> None:
        def view(request: HttpRequest) -> HttpResponse:
            own, request.session = request.session, SessionStore()
            own["a"] = 2
            request.session = own
            return HttpResponse()

        response: Any = SessionMiddleware(view)(request_with(stored(a=1)))
        assert SessionStore(response.cookies["sessionid"].value)["a"] == 2

    @pytest.mark.parametrize("replacement", [None, {}])
    def test_replaces_the_session_by_something_else(self, replacement: Any) -> None:
        def view(request: HttpRequest) -> HttpResponse:
            request.session = replacement
            return HttpResponse("none")

        response: Any = SessionMiddleware(view)(request_with(None))
        assert response.content == b"none"
