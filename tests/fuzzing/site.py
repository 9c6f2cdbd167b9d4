"""The site without a server: what WSGI hands on goes in, what it gets back comes out."""

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
        """What Set-Cookie gives the browser under that name; empty for none."""
        for header, value in self.headers:
            if header == "Set-Cookie" and value.strip().startswith(f"{name}="):
                return value.partition(";")[0].partition("=")[2]
        return ""


@dataclass(frozen=True)
class Look:
    """A request: whatever it is sent along with, its form is let through."""

    path: str
    method: str = "GET"
    query: str = ""
    body: bytes = b""
    kind: str = FORM
    headers: dict[str, str] = field(default_factory=dict)


class Site:
    """With the settings of now; any exception comes through."""

    def __init__(self) -> None:
        self._handler = WSGIHandler()

    def ask(self, look: Look, cookie: bytes = b"") -> Answer:
        """WSGI hands on the bytes of a header as Latin-1."""
        environ: dict[str, Any] = {
            "REQUEST_METHOD": look.method,
            "PATH_INFO": look.path,
            "QUERY_STRING": look.query,
            "CONTENT_TYPE": look.kind,
            "CONTENT_LENGTH": str(len(look.body)),
            "SERVER_NAME": "testserver",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "192.0.2.1",
            "HTTP_HOST": "testserver",
            "HTTP_COOKIE": cookie.decode("latin-1"),
            "HTTP_X_CSRFTOKEN": TOKEN,
            "wsgi.input": io.BytesIO(look.body),
            "wsgi.url_scheme": "http",
            "wsgi.errors": io.StringIO(),
            **look.headers,
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
