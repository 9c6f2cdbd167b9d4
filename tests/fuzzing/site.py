"""The site as a WSGI application, without a server."""

import io
from dataclasses import dataclass, field
from typing import Any

from django.core.handlers.wsgi import WSGIHandler

TOKEN = "a" * 32
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def shows(self, text: str) -> bool:
        return text.encode() in self.body or text in str(self.headers)

    def cookie(self, name: str) -> str:
        """The value of that cookie in Set-Cookie, or an empty text."""
        for header, value in self.headers:
            if header == "Set-Cookie" and value.strip().startswith(f"{name}="):
                return value.partition(";")[0].partition("=")[2]
        return ""


@dataclass(frozen=True)
class Request:
    """A request with a valid CSRF token."""

    path: str
    method: str = "GET"
    query: str = ""
    body: bytes = b""
    kind: str = FORM
    headers: dict[str, str] = field(default_factory=dict)


class Site:
    """The site with the present settings. It raises the exceptions of views."""

    def __init__(self) -> None:
        self._handler = WSGIHandler()

    def send(self, request: Request, cookie: bytes = b"") -> Answer:
        """WSGI passes the bytes of a header as Latin-1."""
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query,
            "CONTENT_TYPE": request.kind,
            "CONTENT_LENGTH": str(len(request.body)),
            "SERVER_NAME": "testserver",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "192.0.2.1",
            "HTTP_HOST": "testserver",
            "HTTP_COOKIE": cookie.decode("latin-1"),
            "HTTP_X_CSRFTOKEN": TOKEN,
            "wsgi.input": io.BytesIO(request.body),
            "wsgi.url_scheme": "http",
            "wsgi.errors": io.StringIO(),
            **request.headers,
        }
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            started.append((int(status.partition(" ")[0]), headers))

        response: Any = self._handler(environ, start_response)
        try:
            body = b"".join(response)
        finally:
            response.close()
        status, headers = started[-1]
        return Answer(status, headers, body)
