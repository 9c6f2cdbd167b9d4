"""What stays in the browser after somebody has signed out."""

from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from .recipe import CHANGES, Subject, TextResponse, recipe

WORKS_ON = Subject.SESSION


@login_required
def page(request: HttpRequest) -> HttpResponse:
    return render(request, "demo/leaving.html")


@never_cache
@login_required
def no_store_page(request: HttpRequest) -> HttpResponse:
    return render(request, "demo/leaving.html")


@recipe(
    _("The back button after signing out"),
    _(
        "Sign in first. Then open this page, sign out on it, and press Back. Chromium and Firefox "
        "keep the page itself in memory, in the back/forward cache (bfcache), and show it again "
        "without a request: login_required is not asked. A browser may leave a page out of this "
        "cache, for example when memory is short. Then Back asks the server, and login_required "
        "leads to the sign-in form."
    ),
    helpers=(page,),
)
def back_button(request: HttpRequest) -> HttpResponse:
    return redirect("demo:leaving-page")


@recipe(
    _("The back button, with no-store"),
    _(
        "Sign in first. never_cache adds Cache-Control: no-store. Firefox keeps no such page in "
        "memory. Chromium today keeps it, but discards it when a cookie changes, and signing out "
        "deletes the session's cookie. So Back asks the server, which asks for the password. Use "
        "never_cache on each page that only a signed-in user may see."
    ),
    helpers=(no_store_page,),
)
def back_button_no_store(request: HttpRequest) -> HttpResponse:
    return redirect("demo:leaving-no-store-page")


@recipe(
    "Clear-Site-Data",
    _(
        "One header deletes all cookies, also those with HttpOnly or another path, and those that "
        "the same response sets. Firefox deletes the cookies of this host. Chromium also deletes "
        "those of the parent domain and of all its subdomains. Both ignore the header over http, "
        "except on this machine. The session stays in its store, and a copy of its cookie stays "
        "valid. This signs you out of this browser."
    ),
    methods=CHANGES,
    works_on=Subject.LEFT_SESSION,
)
def clear_site_data(request: HttpRequest) -> HttpResponse:
    response = TextResponse(
        gettext("The response asks the browser to delete all cookies; the session is not ended.")
    )
    response.headers["Clear-Site-Data"] = '"cookies"'
    return response


@recipe(
    _("Sign out, and clear the rest"),
    _(
        "First end the session on the server, then clear the browser. This also deletes cookies "
        "that you have forgotten, and those that another app on this host has set."
    ),
    methods=CHANGES,
    works_on=Subject.ENDED_SESSION,
)
def sign_out_and_clear(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        message = gettext(
            "The session is ended, and the response asks the browser to delete all cookies."
        )
    else:
        message = gettext(
            "Nobody was signed in. The response asks the browser to delete all cookies."
        )
    logout(request)
    response = TextResponse(message)
    response.headers["Clear-Site-Data"] = '"cookies"'
    return response
