"""Django's whole way from a WSGI environment to a response, for one session engine."""

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
    """The views of ``kinds`` behind the middleware of sessions and no other.

    Ours where the engine is ours, else Django's; none at all without a ``store``.
    """

    def __init__(self, store: type[SessionBase] | None) -> None:
        self.store = store
        super().__init__()

    def load_middleware(self, is_async: bool = False) -> None:
        """Of the handler, not of the settings: several of them serve in one process."""
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        handler: Any = convert_exception_to_response(self._get_response)  # type: ignore[attr-defined]
        if self.store:
            is_ours = issubclass(self.store, Engine | CookieSession)
            middleware: Any = (SessionMiddleware if is_ours else DjangoMiddleware)(handler)
            middleware.SessionStore = self.store
            if is_ours:
                self._exception_middleware.append(middleware.process_exception)
            handler = convert_exception_to_response(middleware)
        self._middleware_chain = handler

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        match = get_resolver(views.__name__).resolve(request.path_info)
        request.resolver_match = match
        return match
