"""Template tags and filters: for the devices page, for each page of a site, and for the admin."""

from datetime import datetime
from typing import Any

from django import template
from django.apps import apps
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.http import HttpRequest
from django.template import Context
from django.urls import get_script_prefix
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from cookieproj.devices.kept_post import SAFE_METHODS
from cookieproj.devices.page_urls import own_url, sign_in_url
from cookieproj.devices.session_end import seconds_of_warning, session_end
from cookieproj.devices.sign_in_chart import Overview
from cookieproj.engines.session_counts import figure

register = template.Library()
register.filter(figure)


@register.filter
def ago(moment: datetime) -> str:
    """Return how long ago that was, in the language of the page.

    Without ``django.contrib.humanize``, Django translates "2 hours" and this app the word "ago".
    """
    if apps.is_installed("django.contrib.humanize"):
        return str(naturaltime(moment))
    return _("%(time)s ago") % {"time": timesince(moment, depth=1)}


@register.inclusion_tag("cookieproj_devices/sign_out_button.html", takes_context=True)
def sign_out_button(context: Context) -> dict[str, Any]:
    """Render a button that signs the user out, and a script that notices a sign-out in other tabs.

    Renders nothing for visitors, and on pages without a request.
    """
    request = request_of(context)
    user = getattr(request, "user", None)
    if request is None or user is None or not user.is_authenticated:
        return {}
    return {"user_id": str(user.pk), "sign_in_url": sign_in_url(page_url(request))}


@register.inclusion_tag("cookieproj_devices/session_countdown.html", takes_context=True)
def session_countdown(context: Context) -> dict[str, Any]:
    """Render when the user's session ends, and how to stay signed in: see WCAG 2.2.1 and 2.2.6.

    It needs ``sign_out_button`` on the same page. Renders nothing for visitors, and without
    SESSION_IDLE_AGE and SESSION_ABSOLUTE_AGE.
    """
    request = request_of(context)
    user = getattr(request, "user", None)
    if request is None or user is None or not user.is_authenticated:
        return {}
    if (end := session_end(request)) is None:
        return {}
    return {
        "end": end,
        "seconds_of_warning": seconds_of_warning(),
        "next": page_url(request),
        "sign_in_url": sign_in_url(page_url(request)),
    }


def request_of(context: Context) -> HttpRequest | None:
    """Return the request of the page, if it has one, whatever its context processors are."""
    request: HttpRequest | None = context.get("request", getattr(context, "request", None))
    return request


def page_url(request: HttpRequest) -> str:
    """Return the URL of the page; the start page's after a POST, whose URL may have no page."""
    return own_url(request) if request.method in SAFE_METHODS else get_script_prefix()


@register.inclusion_tag("admin/cookieproj_devices/overview.html", takes_context=True)
def signed_in_sessions(context: dict[str, Any]) -> dict[str, Any]:
    """Render the number of signed-in sessions, and the chart of sign-ins."""
    return {"overview": Overview(context["request"].user)}
