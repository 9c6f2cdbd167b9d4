"""Rotation of SECRET_KEY without new session keys."""

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
    """Keeps the session key of a session whose hash was made with an older SECRET_KEY.

    Django renews the hash under a new key. If a browser sends several requests at once, one of them
    gets that key, and the others find nothing under their old one and sign the browser out.

    A site that changes SECRET_KEY by SECRET_KEY_FALLBACKS lists this right after Django's
    AuthenticationMiddleware. It replaces ``request.user`` and ``request.auser``.
    """

    def process_request(self, request: HttpRequest) -> None:
        request.user = SimpleLazyObject(partial(get_cached_user, request))  # type: ignore[assignment]
        request.auser = partial(aget_cached_user, request)  # type: ignore[assignment]


def get_cached_user(request: Any) -> AnyUser:
    if not hasattr(request, "_cached_user"):
        request._cached_user = get_user(request_keeping_key(request))
    user: AnyUser = request._cached_user
    return user


async def aget_cached_user(request: Any) -> AnyUser:
    if not hasattr(request, "_acached_user"):
        request._acached_user = await aget_user(request_keeping_key(request))
    user: AnyUser = request._acached_user
    return user


def request_keeping_key(request: HttpRequest) -> Any:
    """Return what Django reads to identify the user. A sign-in still gets a new session key."""
    return SimpleNamespace(session=SessionKeepingKey(request.session))


class SessionKeepingKey:
    """A session whose cycle_key does nothing."""

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
