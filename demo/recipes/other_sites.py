"""Which cookies a browser sends with requests that come from another site."""

import time

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.utils.crypto import get_random_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csrf import csrf_exempt

from .local_names import local_recipe, only_local, other_origin, with_policy
from .recipe import READS_OR_SETS_A_COOKIE, Subject, TextResponse, recipe


@never_cache
@only_local
def form(request: HttpRequest) -> HttpResponse:
    target = other_origin(request)
    response = render(request, "demo/other_site_form.html", {"target": target})
    return with_policy(response, form_action=f"'self' {target}")


# A form of another site has no CSRF token for this one. This view changes nothing, and says only
# which of the recipe's cookies the request carried.
@csrf_exempt
@never_cache
@only_local
def received(request: HttpRequest) -> HttpResponse:
    names = [name for name in ("samesite_missing", "samesite_lax") if name in request.COOKIES]
    return render(request, "demo/received_cookies.html", {"names": names})


@recipe(
    gettext_lazy("No SameSite: two minutes of grace"),
    gettext_lazy(
        "The response sets one cookie without SameSite and one with SameSite=Lax. Open the page of "
        "the other site and post its form. Chromium treats a missing SameSite as Lax, but for two "
        "minutes after the cookie is set it sends it with POST forms of other sites too; RFC "
        "6265bis, the draft of the next cookie standard, calls this “Lax-Allowing-Unsafe”. So a "
        "POST that needs the cookie works in a quick test, and fails for a visitor who takes "
        "longer. Setting the cookie again with the same value does not renew the time; a new value "
        "does. Django sets SameSite=Lax on its session and CSRF cookies, so these have no grace. "
        "By default Firefox and Safari treat a missing SameSite as None (MDN)."
    ),
    methods=READS_OR_SETS_A_COOKIE,
    helpers=(form, received),
)
@local_recipe
def grace(request: HttpRequest) -> HttpResponse:
    context = {"page": other_origin(request) + reverse("demo:other-sites-form")}
    response = render(request, "demo/grace.html", context)
    response.set_cookie("samesite_missing", str(time.time_ns()))
    response.set_cookie("samesite_lax", "1", samesite="Lax")
    return response


@recipe(
    gettext_lazy("http and https are two sites"),
    gettext_lazy(
        "RFC 6265bis, the draft of the next cookie standard, compares the scheme and the "
        "registrable domain, which is the name that somebody has registered, but not the port: a "
        "link from http://example.com to https://example.com comes from another site. It carries "
        "Lax cookies but no Strict ones, and a POST form carries neither. scripts/run serves http "
        "only, so here both cookies come back on every run after the first. Chromium compares "
        "schemes. Safari and, by default, Firefox do not (MDN)."
    ),
    methods=READS_OR_SETS_A_COOKIE,
)
def scheme(request: HttpRequest) -> HttpResponse:
    names = [name for name in ("scheme_strict", "scheme_lax") if name in request.COOKIES]
    response = TextResponse(
        _("This request came over %(scheme)s and carried: %(names)s.")
        % {"scheme": request.scheme, "names": ", ".join(names) or _("none")}
    )
    response.set_cookie("scheme_strict", "1", samesite="Strict")
    response.set_cookie("scheme_lax", "1", samesite="Lax")
    return response


# A page may show this frame only if it is of this server under its other local name.
# X-Frame-Options cannot name an origin; frame-ancestors can.
@xframe_options_exempt
@never_cache
@only_local
def partitioned_frame(request: HttpRequest) -> HttpResponse:
    carried = {name: request.COOKIES.get(name) for name in ("everywhere", "only_here")}
    response = render(request, "demo/partitioned_frame.html", {"carried": carried})
    value = get_random_string(6)
    if carried["everywhere"] is None:
        response.set_cookie("everywhere", value, secure=True, samesite="None")
    if carried["only_here"] is None:
        set_partitioned(response, "only_here", value)
    return with_policy(response, frame_ancestors=other_origin(request))


def set_partitioned(response: HttpResponse, name: str, value: str) -> None:
    response.set_cookie(name, value, secure=True, samesite="None")
    cookie = response.cookies[name]
    if cookie.isReservedKey("partitioned"):
        cookie["partitioned"] = True
    else:
        # Before Python 3.14, http.cookies refuses an attribute of that name.
        cookie["samesite"] = "None; Partitioned"


@recipe(
    gettext_lazy("Partitioned"),
    gettext_lazy(
        "A page here, and in it a frame of the other site, which sets two cookies with "
        "SameSite=None; Secure. One of them is also Partitioned (CHIPS, “Cookies Having "
        "Independent Partitioned State”): the browser keeps a separate one for each site at the "
        "top of the window. So the frame finds it again in this page only; opened by itself, the "
        "frame gets another one. Partitioned needs Secure, and works even if the browser blocks "
        "third-party cookies. Python's http.cookies knows the attribute from 3.14 on. Django up to "
        "6.1 has no argument for it (ticket 34613)."
    ),
    helpers=(partitioned_frame, set_partitioned),
    works_on=Subject.NOTHING,
)
@local_recipe
def partitioned(request: HttpRequest) -> HttpResponse:
    return page_with_frame(request, "demo:other-sites-partitioned")


@xframe_options_exempt
@never_cache
@only_local
def third_party_frame(request: HttpRequest) -> HttpResponse:
    context = {
        "names": [name for name in ("third_none", "third_lax") if name in request.COOKIES],
        "storage_access": request.headers.get("Sec-Fetch-Storage-Access"),
    }
    response = render(request, "demo/third_party_frame.html", context)
    response.set_cookie("third_none", "1", secure=True, samesite="None")
    response.set_cookie("third_lax", "1", samesite="Lax")
    return with_policy(response, frame_ancestors=other_origin(request))


def page_with_frame(request: HttpRequest, name: str) -> HttpResponse:
    origin = other_origin(request)
    response = render(request, "demo/page_with_frame.html", {"frame": origin + reverse(name)})
    return with_policy(response, frame_src=origin)


@recipe(
    gettext_lazy("Third-party cookies and the Storage Access API"),
    gettext_lazy(
        "The frame is of the other site. Its request carries cookies with SameSite=None; Secure, "
        "unless the browser blocks third-party cookies, as Safari does (WebKit: Tracking "
        "Prevention) and as a user of Chromium can choose. A Lax cookie is neither sent nor kept. "
        "document.hasStorageAccess() tells the frame which it is. After a click in the frame, "
        "document.requestStorageAccess() asks the browser, which may ask the visitor. Then the "
        "frame reloads itself, and sends its unpartitioned cookies again. Open the frame by itself "
        "first: there it is the first party."
    ),
    helpers=(third_party_frame, page_with_frame),
    works_on=Subject.NOTHING,
)
@local_recipe
def third_party(request: HttpRequest) -> HttpResponse:
    return page_with_frame(request, "demo:other-sites-third-party")


PAGES = [
    path("other-sites/form/", form, name="other-sites-form"),
    path("other-sites/received/", received, name="other-sites-received"),
    path("other-sites/partitioned-frame/", partitioned_frame, name="other-sites-partitioned"),
    path("other-sites/third-party-frame/", third_party_frame, name="other-sites-third-party"),
]
