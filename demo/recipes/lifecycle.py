"""Session keys, and the four methods that end a session."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cookieproj.engines import running_engine
from demo.ending_methods import compare_methods, masked_key

from .presence import has_session
from .recipe import CHANGES, Subject, TextResponse, recipe

WORKS_ON = Subject.SESSION


def report(request: HttpRequest, method: Callable[[], Any]) -> HttpResponse:
    """Call the method of the request's session, and say what it changed."""
    if not has_session(request):
        return TextResponse(gettext("This browser has no session: there is nothing to end."))
    session = request.session
    old_key = str(session.session_key)
    method()
    changed = change_of_key(session, old_key)
    return TextResponse("\n".join((changed, emptiness_of(session), state_of(session, old_key))))


def change_of_key(session: SessionBase, old_key: str) -> str:
    keys = {"old": masked_key(old_key), "new": masked_key(session.session_key)}
    if running_engine.is_held_by_browser() and session.session_key == old_key:
        return gettext("session_key was %(old)s, and the response sets another") % keys
    return gettext("session_key was %(old)s and is %(new)s") % keys


def emptiness_of(session: SessionBase) -> str:
    if not session.is_empty() and not session.keys():
        return gettext("is_empty() is False, because the key remains")
    return gettext("is_empty() is %s") % session.is_empty()


def state_of(session: SessionBase, old_key: str) -> str:
    """Say what has become of the key that the session had."""
    if running_engine.is_held_by_browser():
        ends_sign_in = SESSION_KEY in type(session)(old_key) and SESSION_KEY not in session
        if ends_sign_in and not running_engine.why_not_single():
            return gettext("This ends a sign-in, so the site refuses copies of the old cookie.")
        return gettext("A copy of the old cookie opens what is in it, until it expires.")
    if getattr(session, "has_replaced_keys", False):
        return gettext("The response saves the session, and then the old key ends.")
    return gettext("The old key exists in the store: %s") % session.exists(old_key)


@recipe(
    _("session_key and exists"),
    _(
        "With the session on a server, the cookie contains only this key. With signed_cookies and "
        "encrypted_cookies the key is the session itself, and exists() is always False. Anybody "
        "who has the key can act as you, so treat it as a password. It is None until the session "
        "is first saved."
    ),
)
def session_key(request: HttpRequest) -> HttpResponse:
    key = request.session.session_key
    if key is None:
        return TextResponse(gettext("No session key yet: nothing has been saved."))
    message = gettext("session_key is %(key)s (%(number)d characters)\nexists() is %(exists)s")
    exists = request.session.exists(key)
    return TextResponse(message % {"key": masked_key(key), "number": len(key), "exists": exists})


@recipe(
    "cycle_key",
    _(
        "Gives the same data a new key, against session fixation. Call it when somebody signs in, "
        "as Django's login() does. The old key then opens nothing. With signed_cookies and "
        "encrypted_cookies the old cookie stays valid, but fixation gains nothing: it keeps the "
        "data that it had."
    ),
    methods=CHANGES,
    helpers=(report, change_of_key, emptiness_of, state_of),
)
def cycle_key(request: HttpRequest) -> HttpResponse:
    if has_session(request):
        return report(request, request.session.cycle_key)
    request.session.cycle_key()
    return TextResponse(gettext("There was no session; a new one begins."))


@recipe(
    "clear",
    _(
        "Empties the dictionary, which also signs you out. The key stays, and the empty session is "
        "stored. With signed_cookies and encrypted_cookies the data is the key, so the response "
        "sets another cookie."
    ),
    methods=CHANGES,
    helpers=(report, change_of_key, emptiness_of, state_of),
)
def clear(request: HttpRequest) -> HttpResponse:
    return report(request, request.session.clear)


@recipe(
    "delete",
    _(
        "Deletes the session from the store. The browser keeps a cookie that is no longer valid. "
        "With signed_cookies and encrypted_cookies there is nothing in a store: the response "
        "deletes the cookie."
    ),
    methods=CHANGES,
    helpers=(report, change_of_key, emptiness_of, state_of),
    works_on=Subject.ENDED_SESSION,
)
def delete(request: HttpRequest) -> HttpResponse:
    return report(request, request.session.delete)


@recipe(
    _("Set the test cookie"),
    _(
        "The first step to find out whether this browser accepts cookies. The “test cookie” is an "
        "item of the session."
    ),
    methods=CHANGES,
)
def set_test_cookie(request: HttpRequest) -> HttpResponse:
    request.session.set_test_cookie()
    return TextResponse(gettext("Set. The next request can check whether the browser sends it."))


@recipe(
    _("Did the test cookie work?"),
    _("The second step, in a later request: check the test cookie and remove it."),
    methods=CHANGES,
)
def test_cookie_worked(request: HttpRequest) -> HttpResponse:
    if not request.session.test_cookie_worked():
        return TextResponse(
            gettext("No test cookie: set it first, or this browser accepts no cookies.")
        )
    request.session.delete_test_cookie()
    return TextResponse(gettext("The browser accepts cookies. The test cookie is removed again."))


@recipe(
    "flush",
    _(
        "Deletes the session from the store and the cookie from the browser. Use it for signing "
        "out. With signed_cookies and encrypted_cookies only the browser has the session, so only "
        "its cookie is deleted. Somebody who has copied the cookie can go on with it until it "
        "expires, unless login() had signed the session in: this site refuses such a copy."
    ),
    methods=CHANGES,
    helpers=(report, change_of_key, emptiness_of, state_of),
    works_on=Subject.ENDED_SESSION,
)
def flush(request: HttpRequest) -> HttpResponse:
    return report(request, request.session.flush)


@recipe(
    _("The four side by side"),
    _(
        "Runs each on a session of its own, and shows what the old key, the new key and the "
        "browser's cookie then lead to."
    ),
    works_on=Subject.NOTHING,
)
def side_by_side(request: HttpRequest) -> HttpResponse:
    return render(request, "demo/ending_methods.html", {"results": compare_methods()})
