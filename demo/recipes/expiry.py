"""When a session expires, who decides it, and who clears up."""

from datetime import datetime, timedelta

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from demo.form_fields import OLDEST, MomentField
from demo.session_settings import session_settings

from .recipe import CHANGES, TextResponse, recipe


class SecondsForm(forms.Form):
    seconds = forms.IntegerField(
        label=_("Seconds"),
        initial=300,
        min_value=1,
        max_value=OLDEST,
        help_text=_("Up to 400 days."),
    )


class MomentForm(forms.Form):
    moment = MomentField(label=_("Moment"))


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
    _("Expires after that many seconds in which the session was not changed."),
    form=SecondsForm,
    methods=CHANGES,
)
def in_seconds(request: HttpRequest, seconds: int) -> HttpResponse:
    request.session.set_expiry(seconds)
    return TextResponse(expiry_of(request))


@recipe(
    "set_expiry(0)",
    _(
        "The cookie has no age, so it ends with the browser. "
        "The store keeps the session for SESSION_COOKIE_AGE all the same."
    ),
    methods=CHANGES,
)
def at_browser_close(request: HttpRequest) -> HttpResponse:
    request.session.set_expiry(0)
    return TextResponse(expiry_of(request))


@recipe(
    "set_expiry(None)",
    _("Back to what the settings say for every session."),
    methods=CHANGES,
)
def by_settings(request: HttpRequest) -> HttpResponse:
    request.session.set_expiry(None)
    return TextResponse(expiry_of(request))


@recipe(
    _("set_expiry with a datetime"),
    _("A fixed moment: no later change of the session moves it."),
    form=MomentForm,
    methods=CHANGES,
)
def at_a_moment(request: HttpRequest, moment: datetime) -> HttpResponse:
    request.session.set_expiry(moment)
    return TextResponse(expiry_of(request))


@recipe(
    _("set_expiry with a timedelta"),
    _("Kept as the moment that many days from now: fixed, unlike seconds."),
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
        "What manage.py clearsessions calls. The database and the files need it now and then; "
        "a cache forgets by itself, and signed cookies lie in the browser."
    ),
    methods=CHANGES,
)
def clear_expired(request: HttpRequest) -> HttpResponse:
    request.session.clear_expired()
    return TextResponse(f"{settings.SESSION_ENGINE} has cleared what it holds that is expired.")


@recipe(
    _("Every SESSION_ setting"),
    _("Each with its value on this site now, Django's default, and what it does."),
)
def every_setting(request: HttpRequest) -> HttpResponse:
    return render(request, "demo/session_settings.html", {"settings": session_settings()})
