"""A proxy for any TCP or Unix socket server, which can drop a response."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

CHUNK = 65536


class Proxy:
    """Listens on ``port``, and forwards everything by default.

    It knows no protocol. Data that a client sends after an answer are a request, and all data from
    the server before the next request are the answer. The answer to a pipeline is one answer. Data
    that a server sends first, like MariaDB's greeting, count as an answer, so connect before
    answers are counted.
    """

    def __init__(self, server: tuple[str, int] | str) -> None:
        """``server`` is host and port, or the path of a socket."""
        self._server = server
        self.answers = 0
        self._drops_all = False
        self._lock = threading.Lock()
        self._streams: set[socket.socket] = set()
        self._answers_to_pass: int | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.dropped = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def drop_answer(self, after: int = 0, *, and_all_others: bool = False) -> None:
        """Drop the next answer, or the one ``after`` so many, and close its connection.

        The server has executed the request by then, since it has begun to answer. Then ``dropped``
        is set. ``answers`` counts from this call.
        """
        with self._lock:
            self.dropped.clear()
            self.answers = 0
            self._answers_to_pass, self._drops_all = after, and_all_others

    def pass_all(self) -> None:
        """Drop nothing any more."""
        with self._lock:
            self._answers_to_pass = None

    def turn_to(self, server: tuple[str, int] | str) -> None:
        """Connect new clients to that server. Open connections stay."""
        self._server = server

    def cut(self) -> None:
        """Close all connections."""
        with self._lock:
            for stream in self._streams:
                hang_up(stream)

    def close(self) -> None:
        hang_up(self._listener)
        self._listener.close()
        self.cut()

    def _serve(self) -> None:
        # ``accept`` raises OSError when the listener is closed.
        with suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                threading.Thread(target=self._connect, args=[client], daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        family = socket.AF_UNIX if isinstance(self._server, str) else socket.AF_INET
        with client, socket.socket(family) as server:
            with self._lock:
                self._streams |= {client, server}
            with suppress(OSError):
                server.connect(self._server)
                # Requests are forwarded at once, without Nagle's algorithm.
                for stream in (client, server):
                    if stream.family == socket.AF_INET:
                        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                conversation = Conversation()
                upwards = threading.Thread(
                    target=self._ask, args=[client, server, conversation], daemon=True
                )
                upwards.start()
                self._answer(server, client, conversation)
            hang_up(client)
            hang_up(server)
            with self._lock:
                self._streams -= {client, server}

    def _ask(self, client: socket.socket, server: socket.socket, talk: "Conversation") -> None:
        with suppress(OSError):
            while chunk := client.recv(CHUNK):
                talk.is_answered = False
                server.sendall(chunk)
        hang_up(server)

    def _answer(self, server: socket.socket, client: socket.socket, talk: "Conversation") -> None:
        while chunk := server.recv(CHUNK):
            if not talk.is_answered:
                talk.is_answered = True
                if not self._passes():
                    return
            client.sendall(chunk)

    def _passes(self) -> bool:
        """Whether the answer that begins now is forwarded."""
        with self._lock:
            self.answers += 1
            if self._answers_to_pass is None:
                return True
            if self._answers_to_pass:
                self._answers_to_pass -= 1
                return True
            if not self._drops_all:
                self._answers_to_pass = None
        self.dropped.set()
        return False


class Conversation:
    """Whose turn it is on a connection."""

    is_answered = False


def hang_up(stream: socket.socket) -> None:
    """Shut the stream down, which also ends a ``recv`` in another thread."""
    with suppress(OSError):
        stream.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxied(server: tuple[str, int] | str) -> Iterator[Proxy]:
    proxy = Proxy(server)
    try:
        yield proxy
    finally:
        proxy.close()
