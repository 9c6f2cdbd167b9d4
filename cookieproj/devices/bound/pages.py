"""The responses to a browser that has sent no bound cookie, or no proof."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers

from cookieproj.devices.page_urls import own_url

from . import headers
from .demands import give_back_cookie

# Seconds after which a browser may succeed that could not renew. How long a quota lasts, it does
# not say.
RETRY_TIME = 5
QUOTA_TIME = 300


def try_again(request: HttpRequest) -> HttpResponse:
    """Answer a browser that could not renew the bound cookie, as it says itself.

    If the cookie was deleted to demand a proof, the browser gets it back: it may renew only so many
    times in some minutes.
    """
    status = HTTPStatus.SERVICE_UNAVAILABLE
    takes_minutes = headers.QUOTA_EXCEEDED in request.headers.get(headers.SKIPPED, "")
    context = {"takes_minutes": takes_minutes}
    response = render(request, "cookieproj_devices/not_renewed.html", context, status=status)
    response.headers["Retry-After"] = str(QUOTA_TIME if takes_minutes else RETRY_TIME)
    give_back_cookie(request, response)
    add_never_cache_headers(response)
    return response


def reload_from_here(request: HttpRequest) -> HttpResponse:
    """Let the page load itself once more: for that request the browser renews the bound cookie.

    Chromium does not for a request that another site has caused, a link to this site for example.
    """
    response = render(request, "cookieproj_devices/reload.html", {"url": own_url(request)})
    response.headers["Refresh"] = "0"
    add_never_cache_headers(response)
    return response


def not_proven(request: HttpRequest) -> HttpResponse:
    response = render(request, "cookieproj_devices/not_proven.html", status=HTTPStatus.FORBIDDEN)
    give_back_cookie(request, response)
    add_never_cache_headers(response)
    return response


def is_link_of_another_site(request: HttpRequest) -> bool:
    """Whether it is a page that a link on another site, or a redirect of one, has opened.

    By the headers of Fetch Metadata (W3C), which scripts cannot set.
    """
    sent = request.headers
    is_page = sent.get("Sec-Fetch-Mode") == "navigate" and request.method == "GET"
    return is_page and sent.get("Sec-Fetch-Site") in {"cross-site", "same-site"}
