"""Signing in three ways: by hand in the session, with a cookie of our own, with Django's auth."""

from django import forms
from django.conf import settings
from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm, UsernameField
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters

from demo.login_auth import (
    admitted,
    claimed,
    login_auth,
    login_cookie,
    proofs_of,
    set_login_cookie,
)

from .recipe import CHANGES, READS_OR_SETS_A_COOKIE, TextResponse, recipe

SIGNS_IN = ("GET", "HEAD", "POST")


class Credentials(AuthenticationForm):
    """On a page that is about something else: it does not take the focus."""

    username = UsernameField(widget=forms.TextInput(attrs={"autocomplete": "username"}))


def next_page(request: HttpRequest, default: str) -> str:
    """Where to go after signing in: the ``next`` that was asked for, if it leads to this site."""
    asked = request.POST.get("next") or request.GET.get("next", "")
    hosts = {request.get_host()}
    if url_has_allowed_host_and_scheme(asked, hosts, require_https=request.is_secure()):
        return asked
    return resolve_url(default)


def ask(request: HttpRequest, form: AuthenticationForm, default: str) -> HttpResponse:
    context = {"form": form, "next": next_page(request, default), "debug": settings.DEBUG}
    return render(request, "demo/sign_in.html", context)


@recipe(
    _("By hand: the index"),
    _("Whether somebody is signed in is whether the session holds a name."),
)
def by_hand(request: HttpRequest) -> HttpResponse:
    name = request.session.get("username")
    return render(request, "demo/by_hand.html", {"name": name})


@recipe(
    _("By hand: sign in"),
    _(
        "Check the password, then put uid and username in the session. cycle_key first: "
        "a key that somebody planted before must not become a signed-in one."
    ),
    methods=SIGNS_IN,
    asks=Credentials,
)
@sensitive_post_parameters("password")
def by_hand_sign_in(request: HttpRequest) -> HttpResponse:
    form = AuthenticationForm(request, request.POST or None)
    if not form.is_valid():
        return ask(request, form, "demo:auth/by-hand")
    user = form.get_user()
    request.session.cycle_key()
    request.session["uid"] = user.pk
    request.session["username"] = user.get_username()
    return HttpResponseRedirect(next_page(request, "demo:auth/by-hand"))


@recipe(
    _("By hand: sign out"),
    _("Take both out of the session again; what else it holds stays."),
    methods=CHANGES,
)
def by_hand_sign_out(request: HttpRequest) -> HttpResponse:
    request.session.pop("uid", None)
    request.session.pop("username", None)
    request.session.cycle_key()
    return redirect("demo:auth/by-hand")


@recipe(
    _("A cookie of our own: the page behind it"),
    _("login_auth lets a browser through whose signed cookie says who it is."),
    helpers=(claimed, admitted, proofs_of),
)
@login_auth
def cookie_account(request: HttpRequest) -> HttpResponse:
    user = request.cookie_user  # type: ignore[attr-defined]
    return render(request, "demo/cookie_account.html", {"cookie_user": user})


@recipe(
    _("A cookie of our own: sign in"),
    _(
        "No session at all: the cookie itself says who it is. It is signed, has an age, and ends "
        "with the user's password."
    ),
    methods=SIGNS_IN,
    asks=Credentials,
    helpers=(next_page, set_login_cookie, proofs_of),
)
@sensitive_post_parameters("password")
def cookie_sign_in(request: HttpRequest) -> HttpResponse:
    form = AuthenticationForm(request, request.POST or None)
    if not form.is_valid():
        return ask(request, form, "demo:auth/cookie-account")
    response = HttpResponseRedirect(next_page(request, "demo:auth/cookie-account"))
    set_login_cookie(response, form.get_user(), secure=request.is_secure())
    return response


@recipe(
    _("A cookie of our own: sign out"),
    _("This browser forgets the cookie. A copy of it stays good until it is too old."),
    methods=CHANGES,
)
def cookie_sign_out(request: HttpRequest) -> HttpResponse:
    response = redirect("demo:auth/cookie-sign-in")
    response.delete_cookie(login_cookie(secure=request.is_secure()), samesite="Lax")
    return response


@recipe(
    _("Forge it: type is_login=1"),
    _("What anybody can do in a browser's developer tools."),
    methods=READS_OR_SETS_A_COOKIE,
)
def forge(request: HttpRequest) -> HttpResponse:
    response = TextResponse("is_login=1 is set. Now look who lets you in.")
    response.set_cookie("is_login", "1")
    return response


@recipe(
    _("Forge it: who lets you in?"),
    _("The naive check of the tutorials beside ours, on the cookies this browser sends."),
    helpers=(claimed,),
)
def who_lets_you_in(request: HttpRequest) -> HttpResponse:
    @login_auth
    def secret(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    naive = bool(request.COOKIES.get("is_login"))
    ours = secret(request).status_code == HttpResponse.status_code
    return TextResponse(
        f'request.COOKIES.get("is_login") {"lets you in" if naive else "keeps you out"}\n'
        f"@login_auth {'lets you in' if ours else 'keeps you out'}"
    )


@recipe(
    _("Django's auth: the page behind it"),
    _("login_required keeps everybody else out, and remembers in next where they wanted to go."),
)
@login_required
def account(request: HttpRequest) -> HttpResponse:
    return render(request, "demo/account.html")


@recipe(
    _("Django's auth: sign in"),
    _("authenticate() asks the user table, login() cycles the key and keeps the user's id."),
    methods=SIGNS_IN,
    asks=Credentials,
    helpers=(next_page,),
)
@sensitive_post_parameters("password")
def sign_in(request: HttpRequest) -> HttpResponse:
    form = AuthenticationForm(request, request.POST or None)
    if not form.is_valid():
        return ask(request, form, "demo:auth/account")
    login(request, form.get_user())
    return HttpResponseRedirect(next_page(request, "demo:auth/account"))


@recipe(
    _("Django's auth: sign out"),
    _("logout() flushes the session: the store forgets it, the browser's cookie goes."),
    methods=CHANGES,
)
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("demo:auth/sign-in")
