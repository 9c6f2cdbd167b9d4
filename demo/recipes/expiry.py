"""Set when a session expires, and clear expired sessions."""

from datetime import datetime, timedelta

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from demo.form_fields import MAX_COOKIE_AGE, ExpiryField
from demo.session_settings import session_settings

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
            ("31", _("31 days, Flask's “permanent”")),
            ("0.08333333333333333", _("two hours")),
        ],
    )


@recipe(
    _("set_expiry with seconds"),
    _("The session expires when it has not changed for this many seconds."),
    form=SecondsForm,
    methods=CHANGES,
)
def in_seconds(request: HttpRequest, seconds: int) -> HttpResponse:
    request.session.set_expiry(seconds)
    return TextResponse(expiry_of(request))


@recipe(
    "set_expiry(0)",
    _(
        "The cookie has no age, so the browser deletes it when it closes. The store still keeps "
        "the session for SESSION_COOKIE_AGE."
    ),
    methods=CHANGES,
)
def at_browser_close(request: HttpRequest) -> HttpResponse:
    request.session.set_expiry(0)
    return TextResponse(expiry_of(request))


@recipe(
    "set_expiry(None)",
    _("Go back to the expiry that the settings give to every session."),
    methods=CHANGES,
)
def by_settings(request: HttpRequest) -> HttpResponse:
    request.session.set_expiry(None)
    return TextResponse(expiry_of(request))


@recipe(
    _("set_expiry with a datetime"),
    _("A fixed time: later changes of the session do not move it."),
    form=MomentForm,
    methods=CHANGES,
)
def at_a_moment(request: HttpRequest, moment: datetime) -> HttpResponse:
    request.session.set_expiry(moment)
    return TextResponse(expiry_of(request))


@recipe(
    _("set_expiry with a timedelta"),
    _(
        "Stored as a fixed time, this long from now. Seconds, by contrast, count from the last "
        "change."
    ),
    form=TimedeltaForm,
    methods=CHANGES,
)
def in_a_timedelta(request: HttpRequest, days: float) -> HttpResponse:
    request.session.set_expiry(timedelta(days=days))
    return TextResponse(expiry_of(request))


def expiry_of(request: HttpRequest) -> str:
    session = request.session
    return (
        f"get_expiry_age() is {session.get_expiry_age():,} seconds\n"
        f"get_expiry_date() is {session.get_expiry_date():%Y-%m-%d %H:%M:%S} UTC\n"
        f"get_expire_at_browser_close() is {session.get_expire_at_browser_close()}"
    )


@recipe(
    "clear_expired",
    _(
        "manage.py clearsessions calls this. The database and the files need it regularly. A "
        "cache removes expired sessions by itself, and signed cookies are in the browser."
    ),
    methods=CHANGES,
    works_on=Subject.NOTHING,
)
def clear_expired(request: HttpRequest) -> HttpResponse:
    request.session.clear_expired()
    return TextResponse(f"{settings.SESSION_ENGINE} has deleted its expired sessions.")


@recipe(
    _("Every SESSION_ setting"),
    _("Each setting with its value on this site, Django's default, and what it does."),
    works_on=Subject.NOTHING,
)
def every_setting(request: HttpRequest) -> HttpResponse:
    return render(request, "demo/session_settings.html", {"settings": session_settings()})
