"""A WSGI application with one session engine: Django's whole way from request to response."""

from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.middleware import SessionMiddleware as DjangoMiddleware
from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest
from django.urls import ResolverMatch, get_resolver

from cookieproj.engines.base import Engine
from cookieproj.engines.cookie_sessions import CookieSession
from cookieproj.engines.middleware import SessionMiddleware

from . import views


class Application(WSGIHandler):
    """Serves ``views`` with SessionMiddleware and no other middleware.

    The middleware is ours for an engine of ours, else Django's. Without a ``session_class`` there
    is none.
    """

    def __init__(self, session_class: type[SessionBase] | None) -> None:
        self.session_class = session_class
        super().__init__()

    def load_middleware(self, is_async: bool = False) -> None:
        """Replace Django's, which loads the same middleware from the settings for all engines."""
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        handler: Any = convert_exception_to_response(self._get_response)  # type: ignore[attr-defined]
        if self.session_class:
            is_ours = issubclass(self.session_class, Engine | CookieSession)
            middleware: Any = (SessionMiddleware if is_ours else DjangoMiddleware)(handler)
            middleware.SessionStore = self.session_class
            if is_ours:
                self._exception_middleware.append(middleware.process_exception)
            handler = convert_exception_to_response(middleware)
        self._middleware_chain = handler

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        match = get_resolver(views.__name__).resolve(request.path_info)
        request.resolver_match = match
        return match
