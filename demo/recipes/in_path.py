"""Put the session key into the address instead of a cookie."""

from importlib import import_module

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from demo.constants import IN_PATH_SALT

from .recipe import CHANGES, Subject, recipe

WORKS_ON = Subject.SESSION_IN_ADDRESS

# How long an address is valid, and how long the session lives after a change, in seconds.
ADDRESS_AGE = 20 * 60


# Django's CSRF token is itself a cookie. Another site cannot forge this form, because it does not
# know the signed key in the address.
@never_cache
@csrf_exempt
def page(request: HttpRequest, token: str, name: str) -> HttpResponse:
    if not settings.DEMO_SESSION_IN_PATH:
        raise Http404
    try:
        key = signing.loads(token, salt=IN_PATH_SALT, max_age=ADDRESS_AGE)
    except signing.BadSignature:
        return render(request, "demo/session_in_path_expired.html", status=400)
    session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    if request.method == "POST":
        session["eaten"] = session.get("eaten", 0) + 1
        session.save()
        return without_referrer(redirect("demo:in-path", signed(session), name))
    context = {"eaten": session.get("eaten", 0), "token": signed(session), "name": name}
    return without_referrer(render(request, "demo/session_in_path.html", context))


def signed(session: SessionBase) -> str:
    return signing.dumps(session.session_key, salt=IN_PATH_SALT)


def without_referrer(response: HttpResponse) -> HttpResponse:
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@recipe(
    _("The session key in the path"),
    _(
        "For browsers that accept no cookies: every link contains the signed session key. Mind "
        "the risk: anybody who sees the address, in a history, a log, a shared link or over a "
        "shoulder, can use the session. With signed_cookies and encrypted_cookies the key is the "
        "session, so every change gives another address, and the old one leads to the old data. "
        "Outside DEBUG this recipe is off unless DEMO_SESSION_IN_PATH turns it on."
    ),
    methods=CHANGES,
    helpers=(page, signed, without_referrer),
)
@csrf_exempt
def begin(request: HttpRequest) -> HttpResponse:
    if not settings.DEMO_SESSION_IN_PATH:
        raise Http404
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session["eaten"] = 0
    session.set_expiry(ADDRESS_AGE)
    session.save()
    return without_referrer(redirect("demo:in-path", signed(session), "kitchen"))
