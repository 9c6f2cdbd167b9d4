"""Keys of sessions, and the four ways to end one."""

from collections.abc import Callable
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from demo.ending_methods import compared, key_in_part

from .recipe import CHANGES, TextResponse, recipe


@recipe(
    _("session_key and exists"),
    _(
        "The key is all that the cookie holds, and whoever has it is you: treat it as a password. "
        "None until the session is first saved."
    ),
)
def session_key(request: HttpRequest) -> HttpResponse:
    key = request.session.session_key
    if key is None:
        return TextResponse("No session key yet: nothing has been saved.")
    return TextResponse(
        f"session_key is {key_in_part(key)} ({len(key)} characters)\n"
        f"exists() is {request.session.exists(key)}"
    )


@recipe(
    "clear",
    _("Empties the dictionary. Key, row and cookie stay. It signs you out too."),
    methods=CHANGES,
)
def clear(request: HttpRequest) -> HttpResponse:
    return TextResponse(reported(request.session, request.session.clear))


@recipe(
    "delete",
    _("Removes the session from the store; the browser keeps a cookie that leads nowhere."),
    methods=CHANGES,
)
def delete(request: HttpRequest) -> HttpResponse:
    return TextResponse(reported(request.session, request.session.delete))


@recipe(
    "flush",
    _("Removes it from the store and forgets the key: the cookie is deleted. For signing out."),
    methods=CHANGES,
)
def flush(request: HttpRequest) -> HttpResponse:
    return TextResponse(reported(request.session, request.session.flush))


@recipe(
    "cycle_key",
    _(
        "The same data under a new key, against session fixation: call it when somebody signs in. "
        "Django's login() does."
    ),
    methods=CHANGES,
)
def cycle_key(request: HttpRequest) -> HttpResponse:
    return TextResponse(reported(request.session, request.session.cycle_key))


def reported(session: SessionBase, end: Callable[[], Any]) -> str:
    session.keys()  # Loads it: a key that the store does not know is None from here on.
    before = session.session_key
    end()
    return (
        f"session_key was {key_in_part(before)} and is {key_in_part(session.session_key)}\n"
        f"is_empty() is {session.is_empty()}\n"
        f"the old key exists in the store: {bool(before) and session.exists(str(before))}"
    )


@recipe(
    _("The four side by side"),
    _("Run now, each on a session made for it: what is left in the store and in the browser."),
)
def side_by_side(request: HttpRequest) -> HttpResponse:
    return render(request, "demo/endings.html", {"endings": compared()})


@recipe(
    _("Set the test cookie"),
    _("First half of the question whether this browser takes cookies at all."),
    methods=CHANGES,
)
def set_test_cookie(request: HttpRequest) -> HttpResponse:
    request.session.set_test_cookie()
    return TextResponse("Set. Ask in the next request whether it came back.")


@recipe(
    _("Did the test cookie work?"),
    _("Second half, in a later request: ask, and tidy up."),
    methods=CHANGES,
)
def test_cookie_worked(request: HttpRequest) -> HttpResponse:
    if not request.session.test_cookie_worked():
        return TextResponse("It did not come back: set it first, or this browser takes no cookies.")
    request.session.delete_test_cookie()
    return TextResponse("It came back, and is deleted again.")
