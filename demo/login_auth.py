"""login_auth: only a browser with a valid sign-in cookie reaches the view."""

import re
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, overload

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.crypto import constant_time_compare, salted_hmac

from .constants import LOGIN_COOKIE, LOGIN_SALT, SECURE_LOGIN_COOKIE
from .models import User

View = Callable[..., Any]

LOGIN_URL = "demo:auth/cookie-sign-in"
# Two weeks, in seconds, as long as Django's own sessions.
LOGIN_AGE = 14 * 24 * 60 * 60

PRIMARY_KEY = re.compile("0|[1-9][0-9]{0,17}")


@overload
def login_auth(view: View) -> View: ...
@overload
def login_auth(*, login_url: str = ..., max_age: int = ...) -> Callable[[View], View]: ...
def login_auth(
    view: View | None = None, *, login_url: str = LOGIN_URL, max_age: int = LOGIN_AGE
) -> View | Callable[[View], View]:
    """Let a browser through whose cookie says, signed by this site, who it is.

    The user is then ``request.cookie_user``. Everybody else is redirected to
    ``login_url`` (a path or the name of one) with ``?next=`` the full path that
    was asked for. ``max_age`` is how old the cookie may be, in seconds.

    Works bare and with arguments, on sync and async views, and through
    ``method_decorator``. It asks the database once: the cookie ends with the
    user's password, and when the user is deactivated. One that was signed with a
    key of SECRET_KEY_FALLBACKS holds.
    """
    if view is None:
        return lambda decorated: login_auth_view(decorated, login_url, max_age)
    return login_auth_view(view, login_url, max_age)


def login_auth_view(view: View, login_url: str, max_age: int) -> View:
    if iscoroutinefunction(view):

        @wraps(view)
        async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            claim = claimed(request, max_age)
            user = await User.objects.filter(pk=claim[0]).afirst() if claim else None
            if not admitted(request, claim, user):
                return ask_to_sign_in(request, login_url)
            return varying(await view(request, *args, **kwargs))
    else:

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            claim = claimed(request, max_age)
            user = User.objects.filter(pk=claim[0]).first() if claim else None
            if not admitted(request, claim, user):
                return ask_to_sign_in(request, login_url)
            return varying(view(request, *args, **kwargs))

    return guarded


def login_cookie(*, secure: bool) -> str:
    return SECURE_LOGIN_COOKIE if secure else LOGIN_COOKIE


def claimed(request: HttpRequest, max_age: int) -> tuple[int, str] | None:
    """The user's id and proof that the cookie holds, if this site signed it within max_age."""
    try:
        name = login_cookie(secure=request.is_secure())
        value = request.get_signed_cookie(name, salt=LOGIN_SALT, max_age=max_age)
    except (KeyError, BadSignature):
        return None
    pk, _, proof = str(value).partition(".")
    return (int(pk), proof) if PRIMARY_KEY.fullmatch(pk) else None


def admitted(request: HttpRequest, claim: tuple[int, str] | None, user: User | None) -> bool:
    if claim is None or user is None or not user.is_active:
        return False
    if not any(constant_time_compare(claim[1], proof) for proof in proofs_of(user)):
        return False
    request.cookie_user = user  # type: ignore[attr-defined]
    return True


def proofs_of(user: User) -> Iterator[str]:
    """By the key of now, then by those of before; other ones as soon as the password is another."""
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    for secret, auth_hash in zip(secrets, hashes, strict=True):
        yield salted_hmac(LOGIN_SALT, auth_hash, secret=secret, algorithm="sha256").hexdigest()


def ask_to_sign_in(request: HttpRequest, login_url: str) -> HttpResponseBase:
    return varying(redirect_to_login(request.get_full_path(), login_url))


def varying(response: HttpResponseBase) -> HttpResponseBase:
    """Tell caches that another cookie gets another answer."""
    patch_vary_headers(response, ["Cookie"])
    return response


def set_login_cookie(response: HttpResponseBase, user: User, *, secure: bool) -> None:
    """Sign ``user`` in on the browser that gets ``response``; ``secure`` if over https only."""
    response.set_signed_cookie(
        login_cookie(secure=secure),
        f"{user.pk}.{next(proofs_of(user))}",
        salt=LOGIN_SALT,
        max_age=LOGIN_AGE,
        secure=secure,
        httponly=True,
        samesite="Lax",
    )
