"""A load balancer before several servers of a site."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle

TIMEOUT = 60

# Headers that belong to a connection, and are not forwarded.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Balancer(ThreadingHTTPServer):
    """Sends each request to the next of those ports, and to the one after if that fails.

    A server may fail after it has handled a request, which is then handled twice. A site whose
    balancer repeats more than GET has to allow that.
    """

    def __init__(self, ports: list[int]) -> None:
        super().__init__(("127.0.0.1", 0), Forward)
        self.served: Counter[int] = Counter()
        self._turns = cycle(ports)
        self._number = len(ports)

    def forward(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[HTTPResponse, bytes]:
        for _ in range(self._number):
            port = next(self._turns)
            connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
            try:
                connection.request(method, path, body, headers)
                response = connection.getresponse()
                content = response.read()
            except (OSError, HTTPException) as error:
                failure = error
                continue
            finally:
                connection.close()
            self.served[port] += 1
            return response, content
        raise failure


class Forward(BaseHTTPRequestHandler):
    server: Balancer

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        response, content = self.server.forward(
            self.command, self.path, body, dict(self.headers.items())
        )
        self.send_response_only(response.status)
        for name, value in response.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815 - the base class's name

    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def run_balancer(ports: list[int]) -> Iterator[Balancer]:
    with Balancer(ports) as balancer:
        thread = threading.Thread(target=balancer.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield balancer
        finally:
            balancer.shutdown()
            thread.join()
