"""Somebody who sends requests of the kinds that are measured, to whatever serves them."""

import time
from collections.abc import Iterable
from typing import Any
from wsgiref.types import WSGIApplication
from wsgiref.util import setup_testing_defaults

from django.urls import get_script_prefix
from django.utils.translation import gettext as _

from .views import PAYLOAD

# The requests that come before some kinds, to bring about the session that they find.
BEFORE = {"sign_in": ["begin"], "sign_out": ["begin", "sign_in"]}


class RequestFailedError(Exception):
    """A request was not answered with 200: ``kind`` and ``status`` tell which and how."""

    def __init__(self, kind: str, status: str) -> None:
        super().__init__(kind, status)
        self.kind = kind
        self.status = status

    def __str__(self) -> str:
        return _("A request of the kind %(kind)s was answered with %(status)s.") % vars(self)


class Visitor:
    """A browser with a session, whose requests never leave the process."""

    def __init__(self, application: WSGIApplication, payload: dict[str, Any]) -> None:
        self.application = application
        self.payload = payload
        self.cookie = ""
        self.request("begin")
        self.session = self.cookie

    def visit(self, kind: str) -> float:
        """Seconds that the request took, without what it needed before."""
        self.prepare(kind)
        seconds = self.request(kind)
        if kind not in BEFORE:
            self.session = self.cookie
        return seconds

    def prepare(self, kind: str) -> None:
        """Some kinds end a session; the others go on with the one that there is."""
        self.cookie = "" if kind in BEFORE else self.session
        for before in BEFORE.get(kind, ()):
            self.request(before)

    def request(self, kind: str) -> float:
        """Seconds that it took. Raises RequestFailedError where it did not succeed."""
        environ: dict[str, Any] = {
            "SCRIPT_NAME": get_script_prefix().removesuffix("/"),
            "PATH_INFO": f"/{kind}",
            "HTTP_COOKIE": self.cookie,
            PAYLOAD: self.payload,
        }
        setup_testing_defaults(environ)
        answer: list[Any] = []

        def start_response(*arguments: Any) -> Any:
            answer.extend(arguments)

        began = time.perf_counter()
        body: Any = self.application(environ, start_response)
        for _chunk in body:
            pass
        if hasattr(body, "close"):
            body.close()
        seconds = time.perf_counter() - began
        status, headers, *_ = answer
        if not status.startswith("200"):
            raise RequestFailedError(kind, status)
        self._keep(headers)
        return seconds

    def _keep(self, headers: Iterable[tuple[str, str]]) -> None:
        for name, value in headers:
            if name.lower() == "set-cookie":
                self.cookie = value.partition(";")[0].strip()
