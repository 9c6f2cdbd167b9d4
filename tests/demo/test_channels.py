"""A site with Channels: the user of a websocket before and after a switch of engines."""

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.auth import AuthMiddlewareStack  # type: ignore[import-untyped]
from channels.generic.websocket import WebsocketConsumer  # type: ignore[import-untyped]
from django.test import Client
from pytest_django import Settings

from demo.models import User
from tests.browsers import again, browser, is_in
from tests.engines.handover_switch import PAIRS, Switch


@pytest.fixture(params=PAIRS, ids=" to ".join)
def switch(
    request: pytest.FixtureRequest, settings: Settings, empty_stores: None, db: None
) -> Switch:
    old, new = request.param
    return Switch(old, new, settings)


class Greeting(WebsocketConsumer):  # type: ignore[misc]
    def connect(self) -> None:
        self.accept()
        self.send(self.scope["user"].get_username() or "nobody")


def websocket_user(client: Client, stack: Any = AuthMiddlewareStack) -> str:
    """Open and close a websocket with the client's cookies, and return its user."""
    incoming = iter([{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(incoming)

    async def send(message: Any) -> None:
        sent.append(message)

    cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
    scope = {"type": "websocket", "path": "/", "headers": [(b"cookie", cookie.encode())]}
    async_to_sync(stack(Greeting.as_asgi()))(scope, receive, send)
    [_accepted, greeting] = sent
    return str(greeting["text"])


def test_websocket_keeps_its_user_after_switch(switch: Switch, ada: User) -> None:
    client = browser(ada)
    assert websocket_user(client) == "ada"
    switch.make()
    for _ in range(2):
        assert websocket_user(client) == "ada"
    client = again(client)
    assert is_in(client)
    assert websocket_user(client) == "ada"
    switch.run(switch.new, "")
    assert websocket_user(client) == "ada"
    assert is_in(again(client))


def test_websocket_of_session_ended_remotely_has_no_user(switch: Switch, ada: User) -> None:
    client, other_device = browser(ada), browser(ada)
    switch.make()
    assert websocket_user(other_device) == "ada"
    assert again(client).post("/devices/sign-out-others/").status_code == 302
    assert websocket_user(other_device) == "nobody"
    assert websocket_user(client) == "ada"
