"""A site with Channels: whose a websocket is, before a switch of engines and after it."""

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.auth import AuthMiddlewareStack  # type: ignore[import-untyped]
from channels.generic.websocket import WebsocketConsumer  # type: ignore[import-untyped]
from django.conf import settings
from django.test import Client
from pytest_django import Settings

from demo.models import User
from tests.browsers import again, browser, is_in, key_of
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


def greeted(client: Client) -> str:
    """The user of a websocket that this browser opens and closes."""
    coming = iter([{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(coming)

    async def send(message: Any) -> None:
        sent.append(message)

    cookie = f"{settings.SESSION_COOKIE_NAME}={key_of(client)}"
    scope = {"type": "websocket", "path": "/", "headers": [(b"cookie", cookie.encode())]}
    async_to_sync(AuthMiddlewareStack(Greeting.as_asgi()))(scope, receive, send)
    [_accepted, greeting] = sent
    return str(greeting["text"])


def test_its_user_is_kept_through_a_switch(switch: Switch, ada: User) -> None:
    client = browser(ada)
    assert greeted(client) == "ada"
    switch.make()
    for _ in range(2):
        assert greeted(client) == "ada"
    client = again(client)
    assert is_in(client)
    assert greeted(client) == "ada"
    switch.run(switch.new, "")
    assert greeted(client) == "ada"
    assert is_in(again(client))


def test_who_is_signed_out_elsewhere_is_nobody(switch: Switch, ada: User) -> None:
    one, other = browser(ada), browser(ada)
    switch.make()
    assert greeted(other) == "ada"
    assert again(one).post("/devices/sign-out-others/").status_code == 302
    assert greeted(other) == "nobody"
    assert greeted(one) == "ada"
