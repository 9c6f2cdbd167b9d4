"""A proxy before any server that talks over a stream: it can keep an answer to itself."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

CHUNK = 65536


class Proxy:
    """Listens on ``port`` and passes everything on, until it is told otherwise.

    It knows no protocol: what a client sends after it was answered is a request, and all that
    comes back before it sends again is the answer to that. So clients are taken at their turns,
    and one that pipelines has one answer to all of it. What a server says by itself, as MariaDB
    does to greet, is an answer too: connect before answers are counted.
    """

    def __init__(self, server: tuple[str, int] | str) -> None:
        """The server's host and port, or the path of its socket."""
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
        """Of the next answer, or the one ``after`` so many, nothing arrives: cut instead.

        The server has done by then what it was asked, as it has begun to answer. Only that one
        answer is dropped, or all after it too. ``dropped`` is set by it; ``answers`` counts
        them from here.
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
        """New connections lead there; those that stand stay where they are."""
        self._server = server

    def cut(self) -> None:
        """End all connections."""
        with self._lock:
            for stream in self._streams:
                hang_up(stream)

    def close(self) -> None:
        hang_up(self._listener)
        self._listener.close()
        self.cut()

    def _serve(self) -> None:
        # Until it is closed.
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
                # A request is passed on at once, and not when there is more.
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
        """Whether the answer that begins is passed on."""
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
    """Also for a thread that waits for something to arrive."""
    with suppress(OSError):
        stream.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxied(server: tuple[str, int] | str) -> Iterator[Proxy]:
    proxy = Proxy(server)
    try:
        yield proxy
    finally:
        proxy.close()
