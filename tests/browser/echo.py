"""A server that sends the headers of the query, and answers with the request's cookies."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit


class Echo(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.send_response(200)
        for name, value in parse_qsl(urlsplit(self.path).query, keep_blank_values=True):
            if name in {"Set-Cookie", "Clear-Site-Data"}:
                self.send_header(name, value)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write((self.headers["Cookie"] or "").encode())

    do_POST = do_GET  # noqa: N815

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        pass


def address(host: str, *headers: tuple[str, str]) -> str:
    """Return the URL of a response with these headers."""
    return f"{host}/?{urlencode(headers)}"


@contextmanager
def echoing(certificate: Path | None = None) -> Iterator[int]:
    """Serve over http, or with a certificate over https. Yields the port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()
