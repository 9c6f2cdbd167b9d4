"""Cookies and scripts: what a script sees, and the Cookie Store API."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .recipe import READS_OR_SETS_A_COOKIE, Subject, TextResponse, recipe


@recipe(
    _("What a script sees"),
    _(
        "Two cookies, one of them with HttpOnly. The browser sends both. No script of any page "
        "can read, change or delete the second: neither by document.cookie nor by the Cookie Store "
        "API."
    ),
    methods=READS_OR_SETS_A_COOKIE,
)
def seen_and_unseen(request: HttpRequest) -> HttpResponse:
    response = TextResponse(gettext("The response sets seen and unseen; unseen has HttpOnly."))
    response.set_cookie("seen", "1")
    response.set_cookie("unseen", "1", httponly=True)
    return response


@recipe(
    _("The Cookie Store API"),
    _(
        "cookieStore reads and sets one cookie at a time, without parsing text, and its event "
        "“change” reports every change, also one by a response or in another window. It exists "
        "over https and on this machine only. A cookie that it sets has Secure, and "
        "SameSite=Strict unless you choose otherwise. Open this page to try it."
    ),
    works_on=Subject.NOTHING,
)
def cookie_store(request: HttpRequest) -> HttpResponse:
    return render(request, "demo/cookie_store.html")


@recipe(
    _("A change by the server"),
    _(
        "While the page of the recipe before is open in another window, run this: it lists the "
        "change at once. Before this event a page had to ask again and again."
    ),
    methods=READS_OR_SETS_A_COOKIE,
)
def changed_by_server(request: HttpRequest) -> HttpResponse:
    response = TextResponse(gettext("The response sets seen to the time, and unseen too."))
    response.set_cookie("seen", f"{timezone.now():%H:%M:%S}")
    response.set_cookie("unseen", f"{timezone.now():%H:%M:%S}", httponly=True)
    return response
