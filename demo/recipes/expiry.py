"""Set when a session expires, and clear expired sessions."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from cookieproj.engines import running_engine
from cookieproj.engines.decorators import passive
from demo.form_fields import MAX_COOKIE_AGE, ExpiryField
from demo.session_settings import own_settings, session_settings

from .presence import has_session
from .recipe import CHANGES, Subject, TextResponse, recipe

WORKS_ON = Subject.SESSION


class SecondsForm(forms.Form):
    seconds = forms.IntegerField(
        label=_("Seconds"),
        initial=300,
        min_value=1,
        max_value=MAX_COOKIE_AGE,
        help_text=_("Up to 400 days."),
    )


class MomentForm(forms.Form):
    moment = ExpiryField(label=_("Time"))


class TimedeltaForm(forms.Form):
    days = forms.TypedChoiceField(
        label="timedelta",
        coerce=float,
        initial="31",
        choices=[
            ("31", _("31 days")),
            ("0.08333333333333333", _("two hours")),
        ],
    )


def expiry_of(request: HttpRequest) -> str:
    """Say when the session expires."""
    session = request.session
    age = gettext("get_expiry_age() is %d seconds") % session.get_expiry_age()
    date = gettext("get_expiry_date() is %s UTC") % f"{session.get_expiry_date():%Y-%m-%d %H:%M:%S}"
    at_close = gettext("get_expire_at_browser_close() is %s")
    return f"{age}\n{date}\n{at_close % session.get_expire_at_browser_close()}"


@recipe(
    _("set_expiry with seconds"),
    _("The session expires when it has not changed for this many seconds."),
    form=SecondsForm,
    methods=CHANGES,
    helpers=(expiry_of,),
)
def in_seconds(request: HttpRequest, seconds: int) -> HttpResponse:
    request.session.set_expiry(seconds)
    return TextResponse(expiry_of(request))


@recipe(
    "set_expiry(0)",
    _(
        "The cookie has no age: the browser deletes it when it closes, unless it restores its "
        "tabs. A copy of the cookie is valid for SESSION_COOKIE_AGE."
    ),
    methods=CHANGES,
    helpers=(expiry_of,),
)
def at_browser_close(request: HttpRequest) -> HttpResponse:
    request.session.set_expiry(0)
    return TextResponse(expiry_of(request))


@recipe(
    "set_expiry(None)",
    _("Go back to the expiry that the settings give to every session."),
    methods=CHANGES,
    helpers=(expiry_of,),
)
def by_settings(request: HttpRequest) -> HttpResponse:
    request.session.set_expiry(None)
    if not has_session(request):
        return TextResponse(gettext("This browser has no session, so nothing is stored."))
    return TextResponse(expiry_of(request))


@recipe(
    _("set_expiry with a datetime"),
    _(
        "A fixed time: later changes of the session do not move it. The cookie counts its age in "
        "whole seconds, as some stores do, so each of them may end it up to a second before."
    ),
    form=MomentForm,
    methods=CHANGES,
    helpers=(expiry_of,),
)
def at_a_moment(request: HttpRequest, moment: datetime) -> HttpResponse:
    request.session.set_expiry(moment)
    return TextResponse(expiry_of(request))


@recipe(
    _("set_expiry with a timedelta"),
    _(
        "Stored as a fixed time, this long from now; seconds count from the last change. Flask's "
        "permanent session also lasts 31 days, but by default every request begins them anew: in "
        "Django that is SESSION_COOKIE_AGE with SESSION_SAVE_EVERY_REQUEST."
    ),
    form=TimedeltaForm,
    methods=CHANGES,
    helpers=(expiry_of,),
)
def in_a_timedelta(request: HttpRequest, days: float) -> HttpResponse:
    request.session.set_expiry(timedelta(days=days))
    return TextResponse(expiry_of(request))


TIMEOUTS = ("SESSION_IDLE_AGE", "SESSION_ABSOLUTE_AGE")


@recipe(
    _("Idle and absolute timeouts"),
    _(
        "SESSION_IDLE_AGE ends a session that no request has used for so many seconds. A request "
        "that only reads counts too. SESSION_ABSOLUTE_AGE ends it so many seconds after the "
        "sign-in. Whatever comes first ends the session. Try it: SESSION_IDLE_AGE=60 scripts/run"
    ),
    helpers=(expiry_of,),
)
def idle_and_absolute(request: HttpRequest) -> HttpResponse:
    lines = [f"{name} = {getattr(settings, name)}" for name in TIMEOUTS]
    return TextResponse("\n".join([*lines, expiry_of(request)]))


@recipe(
    _("A request that is no activity"),
    _(
        "A script that polls would keep its user signed in for ever. passive says that the user "
        "has not asked for the request: with SESSION_IDLE_AGE it does not renew the session."
    ),
)
@passive
def polling(request: HttpRequest) -> HttpResponse:
    return TextResponse(gettext("%d new messages") % request.session.get("unread", 0))


def report(cleared: int | None) -> str:
    """Say what was cleared. Django's engines return no number."""
    if running_engine.is_held_by_browser():
        return gettext("Nothing is cleared: each browser holds its own session.")
    if cleared is None:
        return gettext("The expired sessions are cleared. This engine does not count them.")
    message = ngettext(
        "%(number)d expired session is cleared from the store.",
        "%(number)d expired sessions are cleared from the store.",
        cleared,
    )
    return message % {"number": cleared}


@recipe(
    "clear_expired",
    _(
        "manage.py clearsessions calls this. The database and the files need it regularly. A "
        "cache and MongoDB delete expired sessions by themselves. Cookies are in the browsers, so "
        "with signed_cookies and encrypted_cookies there is nothing to clear."
    ),
    methods=CHANGES,
    works_on=Subject.NOTHING,
    helpers=(report,),
)
def clear_expired(request: HttpRequest) -> HttpResponse:
    session: Any = request.session
    cleared = session.clear_expired()
    return TextResponse(report(cleared))


@recipe(
    _("Every SESSION_ setting"),
    _("Django's settings and this project's own, each with its value here and its default."),
    works_on=Subject.NOTHING,
)
def every_setting(request: HttpRequest) -> HttpResponse:
    context = {"django": session_settings(), "own": own_settings()}
    return render(request, "demo/session_settings.html", context)
