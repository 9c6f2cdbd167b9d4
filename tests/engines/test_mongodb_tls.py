"""The engine mongodb with a server that does not speak the TLS that it is asked for."""

import gc
import os
import ssl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socketserver import BaseRequestHandler, TCPServer
from threading import Thread

import pytest
from pytest_django import Settings

from cookieproj.engines.exceptions import StoreMisconfiguredError, StoreUnavailableError
from cookieproj.engines.mongodb import SessionStore
from cookieproj.engines.mongodb_client import collections
from tests import certificates


@pytest.fixture(autouse=True)
def unclosed_sockets_are_pymongos() -> Iterator[None]:
    """Collect the sockets that PyMongo leaves open if TLS fails, or they would warn in any test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@contextmanager
def serving(handler: type[BaseRequestHandler]) -> Iterator[str]:
    """Serve on a free port. Yields a URL that asks for TLS."""
    with TCPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            port = server.server_address[1]
            url = f"mongodb://127.0.0.1:{port}/sessions?tls=true&serverSelectionTimeoutMS=500"
            yield url
            # Or it would go on looking for the server.
            collections.pop((url, os.getpid())).database.client.close()
        finally:
            server.shutdown()
            thread.join()


class HangUp(BaseRequestHandler):
    """Ends each connection at once."""


def test_refused_certificate_is_a_wrong_setup(settings: Settings, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.make(tmp_path))

    class ShakeHands(BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                context.wrap_socket(self.request, server_side=True).close()

    with (
        serving(ShakeHands) as settings.SESSION_MONGODB_URL,
        pytest.raises(StoreMisconfiguredError, match="certificate") as raised,
    ):
        SessionStore("k" * 32).load()
    assert "tlsCAFile in SESSION_MONGODB_URL" in str(raised.value)


def test_connection_that_ends_in_the_handshake_is_unavailable(settings: Settings) -> None:
    """The server may be about to stop."""
    with (
        serving(HangUp) as settings.SESSION_MONGODB_URL,
        pytest.raises(StoreUnavailableError, match="Check that it is running"),
    ):
        SessionStore("k" * 32).load()
