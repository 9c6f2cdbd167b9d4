from typing import Any

from django.core.checks import CheckMessage, Tags, register
from django.http import HttpResponse

from cookieproj.engines.cookie_checks import check_cookie

from .login_auth import set_login_cookie
from .models import User


@register(Tags.security)
def login_cookie_is_kept(**kwargs: Any) -> list[CheckMessage]:
    """Say why a browser refuses the cookie of login_auth, by https and by http."""
    found: list[CheckMessage] = []
    for secure in (True, False):
        response = HttpResponse()
        set_login_cookie(response, User(pk=1), secure=secure)
        for cookie in response.cookies.values():
            found += check_cookie(cookie, "demo.login_auth.set_login_cookie")
    return found
