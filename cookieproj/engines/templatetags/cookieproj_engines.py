from typing import Any

from django import template

from cookieproj.engines.session_counts import Overview, figure

register = template.Library()
register.filter(figure)


@register.inclusion_tag("admin/cookieproj_engines/overview.html", takes_context=True)
def stored_sessions(context: dict[str, Any]) -> dict[str, Any]:
    return {"overview": Overview(context["request"].user)}
