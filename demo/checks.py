from typing import Any

from django.core.checks import CheckMessage, Tags, register
from django.http import HttpResponse

from cookieproj.engines.cookie_checks import check_cookie

from .login_auth import set_login_cookie
from .models import User


@register(Tags.security)
def login_cookie_is_accepted(**kwargs: Any) -> list[CheckMessage]:
    """Report why browsers would drop the cookie of login_auth, over https and over http."""
    messages: list[CheckMessage] = []
    for secure in (True, False):
        response = HttpResponse()
        set_login_cookie(response, User(pk=1), secure=secure)
        for cookie in response.cookies.values():
            messages += check_cookie(cookie, "demo.login_auth.set_login_cookie")
    return messages
