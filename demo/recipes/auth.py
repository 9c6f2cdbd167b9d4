"""Sign in three ways: by hand in the session, with the login_auth cookie, with Django's auth."""

from django import forms
from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm, UsernameField
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters

from cookieproj.devices.bound.decorators import proof_now
from cookieproj.devices.decorators import recently_authenticated, require_post
from cookieproj.devices.signing_out import sign_out_everywhere
from cookieproj.devices.views import devices_signed_out
from demo import demo_accounts
from demo.bound_page import Status
from demo.login_auth import (
    is_admitted,
    login_auth,
    login_cookie_name,
    proofs_of,
    set_login_cookie,
    signed_claim,
)

from .recipe import CHANGES, READS_OR_SETS_A_COOKIE, Subject, TextResponse, recipe

WORKS_ON = Subject.SESSION

SHOWS_A_FORM_AND_SIGNS_IN = ("GET", "HEAD", "POST")


class CredentialsForm(AuthenticationForm):
    """Django's sign-in form with a demo account filled in, and without its autofocus."""

    username = UsernameField(
        widget=forms.TextInput(attrs={"autocomplete": "username"}),
        help_text=demo_accounts.lazy_hint(),
    )
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}, render_value=True),
    )

    def __init__(self) -> None:
        super().__init__(initial=demo_accounts.credentials())


def next_page(request: HttpRequest, default: str) -> str:
    """Return the address to redirect to: the request's ``next`` if it is on this site."""
    requested = request.POST.get("next") or request.GET.get("next", "")
    hosts = {request.get_host()}
    if url_has_allowed_host_and_scheme(requested, hosts, require_https=request.is_secure()):
        return requested
    return resolve_url(default)


def sign_in_page(request: HttpRequest, form: AuthenticationForm, default: str) -> HttpResponse:
    context = {
        "form": form,
        "next": next_page(request, default),
        "demo_accounts": demo_accounts.hint(),
    }
    return render(request, "demo/sign_in.html", context)


@recipe(
    _("By hand: the start page"),
    _("Somebody is signed in if the session contains a username."),
)
def by_hand(request: HttpRequest) -> HttpResponse:
    name = request.session.get("username")
    return render(request, "demo/by_hand_account.html", {"name": name})


@recipe(
    _("By hand: sign in"),
    _(
        "Check the password, call cycle_key, and put uid and username into the session. If a "
        "server stores the session, a key that an attacker has planted would be signed in without "
        "cycle_key."
    ),
    methods=SHOWS_A_FORM_AND_SIGNS_IN,
    asks=CredentialsForm,
)
@sensitive_post_parameters("password")
def by_hand_sign_in(request: HttpRequest) -> HttpResponse:
    form = AuthenticationForm(request, request.POST or None)
    if not form.is_valid():
        return sign_in_page(request, form, "demo:auth/by-hand")
    user = form.get_user()
    request.session.cycle_key()
    request.session["uid"] = user.pk
    request.session["username"] = user.get_username()
    return HttpResponseRedirect(next_page(request, "demo:auth/by-hand"))


@recipe(
    _("By hand: sign out"),
    _(
        "Remove uid and username from the session. Its other data stays, under the new session "
        "key that cycle_key gives it."
    ),
    methods=CHANGES,
)
def by_hand_sign_out(request: HttpRequest) -> HttpResponse:
    if "username" not in request.session:
        return TextResponse(gettext("Nobody was signed in."))
    request.session.pop("uid", None)
    del request.session["username"]
    request.session.cycle_key()
    return redirect("demo:auth/by-hand")


@recipe(
    _("login_auth: the protected page"),
    _("login_auth admits only a browser whose signed cookie identifies its user."),
    helpers=(signed_claim, is_admitted, proofs_of),
    works_on=Subject.SIGN_IN_COOKIE,
)
@login_auth
def cookie_account(request: HttpRequest) -> HttpResponse:
    user = request.cookie_user  # type: ignore[attr-defined]
    return render(request, "demo/cookie_account.html", {"cookie_user": user})


@recipe(
    _("login_auth: sign in"),
    _(
        "No session is needed: the cookie itself identifies the user. It is signed, it expires, "
        "and a new password invalidates it."
    ),
    methods=SHOWS_A_FORM_AND_SIGNS_IN,
    asks=CredentialsForm,
    helpers=(next_page, set_login_cookie, proofs_of),
    works_on=Subject.SIGN_IN_COOKIE,
)
@sensitive_post_parameters("password")
def cookie_sign_in(request: HttpRequest) -> HttpResponse:
    form = AuthenticationForm(request, request.POST or None)
    if not form.is_valid():
        return sign_in_page(request, form, "demo:auth/cookie-account")
    response = HttpResponseRedirect(next_page(request, "demo:auth/cookie-account"))
    set_login_cookie(response, form.get_user(), secure=request.is_secure())
    return response


@recipe(
    _("login_auth: sign out"),
    _(
        "This browser deletes the cookie. A copy of it stays valid until it expires or the "
        "password changes."
    ),
    methods=CHANGES,
    works_on=Subject.DELETED_SIGN_IN_COOKIE,
)
def cookie_sign_out(request: HttpRequest) -> HttpResponse:
    response = redirect("demo:auth/cookie-sign-in")
    response.delete_cookie(login_cookie_name(secure=request.is_secure()), samesite="Lax")
    return response


@recipe(
    _("Forge it: type is_login=1"),
    _("Anybody can do this in the browser's developer tools."),
    methods=READS_OR_SETS_A_COOKIE,
    works_on=Subject.PLAIN_COOKIE,
)
def forge(request: HttpRequest) -> HttpResponse:
    response = TextResponse(
        gettext("The response sets is_login=1. The next recipe shows who lets you in.")
    )
    response.set_cookie("is_login", "1")
    return response


@recipe(
    _("Forge it: who lets you in?"),
    _(
        "The naive check of many tutorials and login_auth, both on the cookies that this browser "
        "sends."
    ),
    helpers=(signed_claim,),
    works_on="auth/forge",
)
def who_lets_you_in(request: HttpRequest) -> HttpResponse:
    @login_auth
    def secret(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    naive_admits = bool(request.COOKIES.get("is_login"))
    login_auth_admits = secret(request).status_code == HttpResponse.status_code
    checks = {'request.COOKIES.get("is_login")': naive_admits, "@login_auth": login_auth_admits}
    lets_in, keeps_out = gettext("%s lets you in"), gettext("%s keeps you out")
    return TextResponse(
        "\n".join((lets_in if admits else keeps_out) % name for name, admits in checks.items())
    )


@recipe(
    _("Django's auth: the protected page"),
    _(
        "login_required redirects everybody who is not signed in, and puts the page they asked "
        "for into next."
    ),
)
@login_required
def account(request: HttpRequest) -> HttpResponse:
    return render(request, "demo/account.html")


@recipe(
    _("Django's auth: sign in"),
    _(
        "authenticate() checks the user table. login() calls cycle_key and puts the user's id into "
        "the session."
    ),
    methods=SHOWS_A_FORM_AND_SIGNS_IN,
    asks=CredentialsForm,
    helpers=(next_page,),
)
@sensitive_post_parameters("password")
def sign_in(request: HttpRequest) -> HttpResponse:
    form = AuthenticationForm(request, request.POST or None)
    if not form.is_valid():
        return sign_in_page(request, form, "demo:auth/account")
    login(request, form.get_user())
    return HttpResponseRedirect(next_page(request, "demo:auth/account"))


class TransferForm(forms.Form):
    amount = forms.IntegerField(label=_("Amount"), initial=100, min_value=1, max_value=1_000_000)


@login_required
def transfer(request: HttpRequest) -> HttpResponse:
    return render(request, "demo/transfer.html", {"form": TransferForm()})


@require_post(page="demo:transfer")
@recently_authenticated(0)
def send(request: HttpRequest) -> HttpResponse:
    form = TransferForm(request.POST)
    form.is_valid()
    return render(request, "demo/transfer.html", {"form": form})


@recipe(
    _("Ask for the password again"),
    _(
        "Sign in first. Then send the form of this page: recently_authenticated asks for your "
        "password, keeps what you have sent, and goes on with it. Its argument is for how many "
        "seconds a password counts: 0 asks each time, 300 once in five minutes. The session gets a "
        "new key."
    ),
    helpers=(transfer, send),
)
def ask_again(request: HttpRequest) -> HttpResponse:
    return redirect("demo:transfer")


@recipe(
    _("Ask the device for a proof"),
    _(
        "Sign in first. proof_now asks the browser and not its user: the browser proves that it "
        "has the key to which the session is bound, so nobody gets in with copied cookies. A "
        "session that is not bound is let in. Over http none is bound, and the page says what "
        "would happen over https."
    ),
)
@proof_now
@login_required
def device_proof(request: HttpRequest) -> HttpResponse:
    return render(request, "demo/device_proof.html", {"status": Status(request)})


@recipe(
    _("One device only"),
    _(
        "Sign in here and in another browser first. This signs you out there: that browser notices "
        "with its next request. The setting DEVICES_LIMIT = 1 does the same at every sign-in. If "
        "DEVICES_OVER_LIMIT is “refuse” too, the new sign-in is refused instead."
    ),
    methods=CHANGES,
)
def one_device_only(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        return TextResponse(gettext("Nobody was signed in."))
    ended = sign_out_everywhere(request.user, by=request.user, keep=request)
    return TextResponse(devices_signed_out(ended))


@recipe(
    _("Django's auth: sign out"),
    _(
        "logout() flushes the session: it deletes the session from the store and the cookie from "
        "the browser. With the session in the cookie, a copy of it would stay valid: this site "
        "lists the sessions that were signed out and refuses them."
    ),
    methods=CHANGES,
    works_on=Subject.ENDED_SESSION,
)
def sign_out(request: HttpRequest) -> HttpResponse:
    was_signed_in = request.user.is_authenticated
    logout(request)
    if not was_signed_in:
        return TextResponse(gettext("Nobody was signed in. logout() has flushed the session."))
    return redirect("demo:auth/sign-in")
