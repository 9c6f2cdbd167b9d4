"""The decorator login_auth: only a browser with a valid sign-in cookie reaches the view."""

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
# How long a sign-in is valid, in seconds: two weeks, as Django's sessions.
LOGIN_AGE = 14 * 24 * 60 * 60

PRIMARY_KEY = re.compile("0|[1-9][0-9]{0,17}")


@overload
def login_auth(view: View) -> View: ...
@overload
def login_auth(*, login_url: str = ..., max_age: int = ...) -> Callable[[View], View]: ...
def login_auth(
    view: View | None = None, *, login_url: str = LOGIN_URL, max_age: int = LOGIN_AGE
) -> View | Callable[[View], View]:
    """Admit a browser whose cookie, signed by this site, identifies an active user.

    The view finds the user in ``request.cookie_user``. Any other browser is redirected to
    ``login_url`` (a path or a URL name), with the requested path in ``?next=``. ``max_age`` is
    the greatest age of the cookie in seconds.

    Works with and without arguments, on sync and async views, and with ``method_decorator``.
    Makes one database query. A new password or a deactivated user invalidates the cookie. A
    cookie signed with a key of SECRET_KEY_FALLBACKS stays valid.
    """
    if view is None:
        return lambda decorated: guard(decorated, login_url, max_age)
    return guard(view, login_url, max_age)


def guard(view: View, login_url: str, max_age: int) -> View:
    if iscoroutinefunction(view):

        @wraps(view)
        async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            claim = signed_claim(request, max_age)
            user = await User.objects.filter(pk=claim[0]).afirst() if claim else None
            if not is_admitted(request, claim, user):
                return redirect_to_sign_in(request, login_url)
            return vary_by_cookie(await view(request, *args, **kwargs))
    else:

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            claim = signed_claim(request, max_age)
            user = User.objects.filter(pk=claim[0]).first() if claim else None
            if not is_admitted(request, claim, user):
                return redirect_to_sign_in(request, login_url)
            return vary_by_cookie(view(request, *args, **kwargs))

    return guarded


def login_cookie_name(*, secure: bool) -> str:
    return SECURE_LOGIN_COOKIE if secure else LOGIN_COOKIE


def signed_claim(request: HttpRequest, max_age: int) -> tuple[int, str] | None:
    """Return the user's id and the proof in the cookie, or None without a valid signature."""
    try:
        name = login_cookie_name(secure=request.is_secure())
        value = request.get_signed_cookie(name, salt=LOGIN_SALT, max_age=max_age)
    except (KeyError, BadSignature):
        return None
    pk, _, proof = str(value).partition(".")
    return (int(pk), proof) if PRIMARY_KEY.fullmatch(pk) else None


def is_admitted(request: HttpRequest, claim: tuple[int, str] | None, user: User | None) -> bool:
    """Whether the claim is the user's. If it is, set ``request.cookie_user``."""
    if claim is None or user is None or not user.is_active:
        return False
    if not any(constant_time_compare(claim[1], proof) for proof in proofs_of(user)):
        return False
    request.cookie_user = user  # type: ignore[attr-defined]
    return True


def proofs_of(user: User) -> Iterator[str]:
    """Yield the user's proof with SECRET_KEY, then with each fallback.

    A proof depends on the user's session hash, so a new password changes it.
    """
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    for secret, auth_hash in zip(secrets, hashes, strict=True):
        yield salted_hmac(LOGIN_SALT, auth_hash, secret=secret, algorithm="sha256").hexdigest()


def redirect_to_sign_in(request: HttpRequest, login_url: str) -> HttpResponseBase:
    return vary_by_cookie(redirect_to_login(request.get_full_path(), login_url))


def vary_by_cookie(response: HttpResponseBase) -> HttpResponseBase:
    """Add ``Vary: Cookie``, so that no cache serves the response to another browser."""
    patch_vary_headers(response, ["Cookie"])
    return response


def set_login_cookie(response: HttpResponseBase, user: User, *, secure: bool) -> None:
    """Sign ``user`` in on the browser that gets ``response``; ``secure`` limits it to https."""
    response.set_signed_cookie(
        login_cookie_name(secure=secure),
        f"{user.pk}.{next(proofs_of(user))}",
        salt=LOGIN_SALT,
        max_age=LOGIN_AGE,
        secure=secure,
        httponly=True,
        samesite="Lax",
    )
