"""A view for each kind of request that is measured, and one that begins a session."""

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.http import HttpRequest, HttpResponse
from django.urls import path

# The key in ``request.META`` of the data for a new session.
PAYLOAD = "benchsessions.payload"


def begin(request: HttpRequest) -> HttpResponse:
    """Begin a session, if the application has sessions."""
    if hasattr(request, "session"):
        request.session.update(request.META[PAYLOAD])
        request.session["visits"] = 0
    return HttpResponse()


def plain(request: HttpRequest) -> HttpResponse:
    """Answer without the session."""
    return HttpResponse()


def read(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.session["visits"])


def write(request: HttpRequest) -> HttpResponse:
    request.session["visits"] += 1
    return HttpResponse()


def sign_in(request: HttpRequest) -> HttpResponse:
    """Do to the session what login() does. Whatever a site writes elsewhere is not measured."""
    session = request.session
    if SESSION_KEY not in session:
        session.cycle_key()
    session[SESSION_KEY] = "1"
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = "0" * 64
    return HttpResponse()


def sign_out(request: HttpRequest) -> HttpResponse:
    """Do to the session what logout() does, after the user was read from it."""
    user = request.session[SESSION_KEY]
    request.session.flush()
    return HttpResponse(user)


KINDS = {view.__name__: view for view in (plain, read, write, sign_in, sign_out)}

urlpatterns = [path(name, view) for name, view in {"begin": begin, **KINDS}.items()]
