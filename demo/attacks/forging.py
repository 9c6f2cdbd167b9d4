"""Cookies that somebody changes or makes up."""

from collections.abc import Iterator

from django.contrib.auth import get_user
from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from demo.constants import LOGIN_COOKIE
from demo.login_auth import login_auth

from .registry import Trial, attempt
from .targets import (
    cookie_name,
    djangos_and_ours,
    engines_to_try,
    made_up_key,
    temporary_session,
    title,
)


@attempt(
    gettext_lazy("Change one character"),
    gettext_lazy(
        "A cookie says role=guest. Somebody changes one of its characters in the browser: of a "
        "plain cookie, of a signed one, and of a session cookie."
    ),
    gettext_lazy("The attacker gets a role that the site has not given them."),
    gettext_lazy(
        "The signature is computed from the value and SECRET_KEY, so only the site can sign a "
        "different value. Django's engine and ours both verify the session cookie. A plain cookie "
        "has no signature: the site reads whatever the browser sends."
    ),
)
def change_a_character() -> Iterator[Trial]:
    response, request = HttpResponse(), HttpRequest()
    response.set_cookie("plain", "guest")
    response.set_signed_cookie("signed", "guest")
    for name, cookie in response.cookies.items():
        request.COOKIES[name] = f"q{cookie.value[1:]}"

    role = request.COOKIES["plain"]
    yield Trial("request.COOKIES", _("The site reads “%s”.") % role, withstood=False)
    try:
        role = str(request.get_signed_cookie("signed"))
        yield Trial("get_signed_cookie", _("The site reads “%s”.") % role, withstood=False)
    except BadSignature:
        yield Trial("get_signed_cookie", _("BadSignature: the site refuses it."), withstood=True)

    for engine in djangos_and_ours(cookie_name()):
        with temporary_session(engine.store, role="guest") as session:
            first, *others = session.session_key
            changed = "".join(["q" if first != "q" else "r", *others])
            role = str(engine.store(changed).get("role", ""))
        outcome = _("The site reads “%s”.") % role if role else _("The site reads nothing.")
        yield Trial(title(engine), outcome, withstood=not role)


@attempt(
    gettext_lazy("Type is_login=1"),
    gettext_lazy(
        "The cookie from many tutorials, typed into the developer tools; a made-up session "
        "cookie; and a forged login_auth cookie."
    ),
    gettext_lazy("The attacker gets pages that need a sign-in."),
    gettext_lazy(
        "A cookie proves something only if the site can verify that it set the cookie. A made-up "
        "session cookie opens no session, with Django's engines and with ours. login_auth "
        "requires a signature that has not expired, and a proof that becomes invalid when the "
        "password changes."
    ),
)
def type_is_login() -> Iterator[Trial]:
    request = HttpRequest()
    request.COOKIES = {"is_login": "1", LOGIN_COOKIE: "1.proof:1xUlbC:signature"}

    @login_auth
    def secret(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    admitted = {'request.COOKIES.get("is_login")': bool(request.COOKIES.get("is_login"))}
    for engine in engines_to_try():
        request.session = engine.store(made_up_key())
        admitted[title(engine)] = get_user(request).is_authenticated
    admitted["@login_auth"] = secret(request).status_code == HttpResponse.status_code
    for target, admits in admitted.items():
        outcome = _("It lets you in.") if admits else _("It keeps you out.")
        yield Trial(target, outcome, withstood=not admits)
