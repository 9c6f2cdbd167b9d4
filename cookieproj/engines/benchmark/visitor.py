"""A visitor: sends the kinds of request that are measured to a WSGI application."""

import time
from collections.abc import Iterable
from typing import Any
from wsgiref.types import WSGIApplication
from wsgiref.util import setup_testing_defaults

from django.urls import get_script_prefix
from django.utils.translation import gettext as _

from .views import PAYLOAD

# By kind: the requests that prepare the session that it needs.
PREPARING_KINDS = {"sign_in": ["begin"], "sign_out": ["begin", "sign_in"]}


class RequestFailedError(Exception):
    """A request of that ``kind`` was answered with a ``status`` other than 200."""

    def __init__(self, kind: str, status: str) -> None:
        super().__init__(kind, status)
        self.kind = kind
        self.status = status

    def __str__(self) -> str:
        return _("A request of the kind %(kind)s was answered with %(status)s.") % vars(self)


class Visitor:
    """A browser with a session. Its requests call the application in this process.

    ``cookie`` is sent with the next request. ``session`` is the cookie of the session that all
    kinds share that neither begin nor end one.
    """

    def __init__(self, application: WSGIApplication, payload: dict[str, Any]) -> None:
        self.application = application
        self.payload = payload
        self.cookie = ""
        self.request("begin")
        self.session = self.cookie

    def visit(self, kind: str) -> float:
        """Return the seconds that the request took, without its preparation."""
        self.prepare(kind)
        seconds = self.request(kind)
        if kind not in PREPARING_KINDS:
            self.session = self.cookie
        return seconds

    def prepare(self, kind: str) -> None:
        """Begin a new session for a kind that needs its own. The others continue the shared one."""
        self.cookie = "" if kind in PREPARING_KINDS else self.session
        for preparing_kind in PREPARING_KINDS.get(kind, ()):
            self.request(preparing_kind)

    def request(self, kind: str) -> float:
        """Send a request and return its seconds. Raises RequestFailedError if it fails."""
        environ: dict[str, Any] = {
            "SCRIPT_NAME": get_script_prefix().removesuffix("/"),
            "PATH_INFO": f"/{kind}",
            "HTTP_COOKIE": self.cookie,
            PAYLOAD: self.payload,
        }
        setup_testing_defaults(environ)
        response_start: list[Any] = []

        def start_response(*arguments: Any) -> Any:
            response_start.extend(arguments)

        started = time.perf_counter()
        body: Any = self.application(environ, start_response)
        for _chunk in body:
            pass
        if hasattr(body, "close"):
            body.close()
        seconds = time.perf_counter() - started
        status, headers, *_ = response_start
        if not status.startswith("200"):
            raise RequestFailedError(kind, status)
        self._keep_cookie(headers)
        return seconds

    def _keep_cookie(self, headers: Iterable[tuple[str, str]]) -> None:
        for name, value in headers:
            if name.lower() == "set-cookie":
                self.cookie = value.partition(";")[0].strip()
