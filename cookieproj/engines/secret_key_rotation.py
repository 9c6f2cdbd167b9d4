"""SECRET_KEY becomes another one, and no session key with it."""

from collections.abc import Awaitable, Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from django.contrib.auth import aget_user, get_user
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin
from django.utils.functional import SimpleLazyObject

GetResponse = Callable[[HttpRequest], HttpResponse | Awaitable[HttpResponse]]

AnyUser = AbstractBaseUser | AnonymousUser


class KeepSessionKeyMiddleware(MiddlewareMixin):
    """A session whose hash an older SECRET_KEY made keeps its session key.

    Django renews the hash under another key. Of the requests that a browser sends at once one
    would get it, and all others find nothing under theirs and sign the browser out.

    A site that changes its SECRET_KEY by way of SECRET_KEY_FALLBACKS lists it right after Django's
    AuthenticationMiddleware: it looks for ``request.user`` and ``request.auser`` in its place.
    """

    def process_request(self, request: HttpRequest) -> None:
        request.user = SimpleLazyObject(partial(get_cached_user, request))  # type: ignore[assignment]
        request.auser = partial(aget_cached_user, request)  # type: ignore[assignment]


def get_cached_user(request: Any) -> AnyUser:
    if not hasattr(request, "_cached_user"):
        request._cached_user = get_user(request_keeping_key(request))
    found: AnyUser = request._cached_user
    return found


async def aget_cached_user(request: Any) -> AnyUser:
    if not hasattr(request, "_acached_user"):
        request._acached_user = await aget_user(request_keeping_key(request))
    found: AnyUser = request._acached_user
    return found


def request_keeping_key(request: HttpRequest) -> Any:
    """All that Django looks at to see who it is. A sign-in meanwhile does get another key."""
    return SimpleNamespace(session=SessionKeepingKey(request.session))


class SessionKeepingKey:
    """A session that gets no other key by this."""

    def __init__(self, session: SessionBase) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def __getitem__(self, key: str) -> Any:
        return self._session[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._session[key] = value

    def cycle_key(self) -> None:
        pass

    async def acycle_key(self) -> None:
        pass
