"""The middleware for Django Channels, which has one of its own that opens sessions."""

from typing import Any

from cookieproj.devices import conf

from .admission import BoundAdmission


class BoundSessionsMiddleware:
    """Opens bound sessions only for the browser that has the key, for Channels' consumers.

    It stands between Channels' SessionMiddleware and AuthMiddleware. Without a good bound cookie
    the consumer gets a new session, and nobody is signed in. It is asked for when the connection is
    opened: a websocket that is open stays so.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        if conf.binds_sessions():
            scope["session"].admission = BoundAdmission(scope["cookies"])
        return await self.inner(scope, receive, send)
