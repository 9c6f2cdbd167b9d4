import asyncio
from typing import Any

from asgiref import testing
from pytest_django import Settings

from cookieproj.asgi import application

connect: Any = testing.ApplicationCommunicator


def test_site_responds_over_asgi(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["localhost"]
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/cookies/set-cookie/",
        "query_string": b"value=red",
        "headers": [(b"host", b"localhost")],
    }

    async def send_request() -> Any:
        communicator = connect(application, scope)
        await communicator.send_input({"type": "http.request", "body": b""})
        start = await communicator.receive_output(timeout=10)
        await communicator.receive_output(timeout=10)
        await communicator.wait()
        return start

    start = asyncio.run(send_request())
    cookies = [value.strip() for name, value in start["headers"] if name.lower() == b"set-cookie"]
    assert (start["status"], cookies) == (200, [b"color=red; Path=/"])
