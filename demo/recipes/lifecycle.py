"""Session keys, and the four methods that end a session."""

from collections.abc import Callable
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from demo.ending_methods import compare_methods, masked_key

from .recipe import CHANGES, Subject, TextResponse, recipe

WORKS_ON = Subject.SESSION


@recipe(
    _("session_key and exists"),
    _(
        "The cookie contains only this key. Anybody who has it can act as you, so treat it as a "
        "password. It is None until the session is first saved."
    ),
)
def session_key(request: HttpRequest) -> HttpResponse:
    key = request.session.session_key
    if key is None:
        return TextResponse("No session key yet: nothing has been saved.")
    return TextResponse(
        f"session_key is {masked_key(key)} ({len(key)} characters)\n"
        f"exists() is {request.session.exists(key)}"
    )


@recipe(
    "clear",
    _(
        "Empties the dictionary, which also signs you out. The key, the stored session and the "
        "cookie stay."
    ),
    methods=CHANGES,
)
def clear(request: HttpRequest) -> HttpResponse:
    return TextResponse(report(request.session, request.session.clear))


@recipe(
    "delete",
    _("Deletes the session from the store. The browser keeps a cookie that is no longer valid."),
    methods=CHANGES,
)
def delete(request: HttpRequest) -> HttpResponse:
    return TextResponse(report(request.session, request.session.delete))


@recipe(
    "flush",
    _(
        "Deletes the session from the store and the cookie from the browser. Use it for signing "
        "out."
    ),
    methods=CHANGES,
)
def flush(request: HttpRequest) -> HttpResponse:
    return TextResponse(report(request.session, request.session.flush))


@recipe(
    "cycle_key",
    _(
        "Gives the same data a new key, against session fixation. Call it when somebody signs in, "
        "as Django's login() does."
    ),
    methods=CHANGES,
)
def cycle_key(request: HttpRequest) -> HttpResponse:
    return TextResponse(report(request.session, request.session.cycle_key))


def report(session: SessionBase, method: Callable[[], Any]) -> str:
    """Call the method and return what it changed, as text."""
    session.keys()  # Loads the session, which sets a key that the store does not know to None.
    old_key = session.session_key
    method()
    return (
        f"session_key was {masked_key(old_key)} and is {masked_key(session.session_key)}\n"
        f"is_empty() is {session.is_empty()}\n"
        f"the old key exists in the store: {bool(old_key) and session.exists(str(old_key))}"
    )


@recipe(
    _("The four side by side"),
    _("Runs each on a session of its own, and shows what is left in the store and in the browser."),
    works_on=Subject.NOTHING,
)
def side_by_side(request: HttpRequest) -> HttpResponse:
    return render(request, "demo/ending_methods.html", {"results": compare_methods()})


@recipe(
    _("Set the test cookie"),
    _("The first step to find out whether this browser accepts cookies."),
    methods=CHANGES,
)
def set_test_cookie(request: HttpRequest) -> HttpResponse:
    request.session.set_test_cookie()
    return TextResponse("Set. The next request can check whether the browser sends it.")


@recipe(
    _("Did the test cookie work?"),
    _("The second step, in a later request: check the test cookie and delete it."),
    methods=CHANGES,
)
def test_cookie_worked(request: HttpRequest) -> HttpResponse:
    if not request.session.test_cookie_worked():
        return TextResponse("No test cookie: set it first, or this browser accepts no cookies.")
    request.session.delete_test_cookie()
    return TextResponse("The browser accepts cookies. The test cookie is deleted again.")
