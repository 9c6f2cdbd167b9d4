"""This site with a few more views that use their session: a WSGI module."""

import os
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.quick"
application = get_wsgi_application()

from django.contrib.auth.decorators import login_required  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

from cookieproj import urls  # noqa: E402
from cookieproj.devices.bound.decorators import proof_now  # noqa: E402


def who(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    return HttpResponse(user.get_username() or "nobody")


def remember(request: HttpRequest, name: str) -> HttpResponse:
    """Write to the session, as concurrent requests do."""
    request.session[name] = True
    return who(request)


def remembered(request: HttpRequest) -> HttpResponse:
    return HttpResponse(" ".join(request.session.keys()))


@proof_now
@login_required
def pay(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"paid {request.POST.get('amount', '')}")


@proof_now
@login_required
def close(request: HttpRequest) -> HttpResponse:
    return HttpResponse("closed")


root: list[Any] = urls.urlpatterns
root += [
    path("who/", who),
    path("remember/<name>/", remember),
    path("remembered/", remembered),
    path("pay/", pay),
    path("close/", close),
]
