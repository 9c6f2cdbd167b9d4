"""The kinds of request that are measured, each a view; and that which begins a session."""

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.http import HttpRequest, HttpResponse
from django.urls import path

# Where a request brings along what its new session is to hold.
PAYLOAD = "benchsessions.payload"


def begin(request: HttpRequest) -> HttpResponse:
    """A new session, where there are sessions at all."""
    if hasattr(request, "session"):
        request.session.update(request.META[PAYLOAD])
        request.session["visits"] = 0
    return HttpResponse()


def plain(request: HttpRequest) -> HttpResponse:
    """Leaves the session alone."""
    return HttpResponse()


def read(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.session["visits"])


def write(request: HttpRequest) -> HttpResponse:
    request.session["visits"] += 1
    return HttpResponse()


def sign_in(request: HttpRequest) -> HttpResponse:
    """What login() does to the session; what a site writes elsewhere is none of its cost."""
    session = request.session
    if SESSION_KEY not in session:
        session.cycle_key()
    session[SESSION_KEY] = "1"
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = "0" * 64
    return HttpResponse()


def sign_out(request: HttpRequest) -> HttpResponse:
    """What logout() does to it, once the session has told who it is."""
    user = request.session[SESSION_KEY]
    request.session.flush()
    return HttpResponse(user)


KINDS = {view.__name__: view for view in (plain, read, write, sign_in, sign_out)}

urlpatterns = [path(name, view) for name, view in {"begin": begin, **KINDS}.items()]
