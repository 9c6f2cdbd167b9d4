"""A proxy before a server, that passes on what it is asked and may keep the answer to itself."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

CHUNK = 65536


class Proxy:
    """Each piece that a client sends is a request; they are counted over all connections."""

    def __init__(self, server: tuple[str, int] | str) -> None:
        """``server`` is host and port, or the path of a socket."""
        self.server = server
        self.requests = 0
        self._lost = range(0)
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def losing(self, first: int, last: int | None = None) -> Iterator[None]:
        """The answers to those of the next requests get lost, and their connections with them.

        Counted from 1; with ``last`` left out only that one's, with 0 those of all after it.
        """
        end = {None: first + 1, 0: 1_000_000}.get(last, (last or 0) + 1)
        with self._lock:
            self.requests, self._lost = 0, range(first, end)
        yield
        with self._lock:
            self._lost = range(0)

    def turn_to(self, server: tuple[str, int] | str) -> None:
        """New connections lead there, those that stand stay where they are."""
        self.server = server

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                family = socket.AF_UNIX if isinstance(self.server, str) else socket.AF_INET
                server = socket.socket(family)
                try:
                    server.connect(self.server)
                except OSError:
                    client.close()
                    continue
                _Link(self, client, server).start()

    def _is_lost(self) -> bool:
        with self._lock:
            self.requests += 1
            return self.requests in self._lost


class _Link:
    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.proxy, self.client, self.server = proxy, client, server
        self.loses = False

    def start(self) -> None:
        for work in (self._ask, self._answer):
            threading.Thread(target=work, daemon=True).start()

    def _ask(self) -> None:
        with suppress(OSError):
            while request := self.client.recv(CHUNK):
                self.loses = self.proxy._is_lost()
                self.server.sendall(request)
        self._close()

    def _answer(self) -> None:
        with suppress(OSError):
            while answer := self.server.recv(CHUNK):
                if self.loses:
                    break
                self.client.sendall(answer)
        self._close()

    def _close(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
