"""Template tags and filters of the devices page and of the admin's overview."""

from datetime import datetime
from typing import Any

from django import template
from django.apps import apps
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

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


@register.inclusion_tag("admin/cookieproj_devices/overview.html", takes_context=True)
def signed_in_sessions(context: dict[str, Any]) -> dict[str, Any]:
    """Render the number of signed-in sessions, and the chart of sign-ins."""
    return {"overview": Overview(context["request"].user)}
