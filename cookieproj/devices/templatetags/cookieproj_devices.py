from typing import Any

from django import template
from django.contrib.humanize.templatetags.humanize import naturaltime

from cookieproj.devices.sign_in_chart import Overview
from cookieproj.engines.session_counts import figure

register = template.Library()
register.filter(figure)
# So that the page needs no ``django.contrib.humanize``; with it, it speaks the site's language.
register.filter(naturaltime)


@register.inclusion_tag("admin/cookieproj_devices/overview.html", takes_context=True)
def signed_in_sessions(context: dict[str, Any]) -> dict[str, Any]:
    return {"overview": Overview(context["request"].user)}
