from typing import Any

from django import template

from demo.overview import Overview, figure

register = template.Library()
register.filter(figure)


@register.inclusion_tag("admin/demo/overview.html", takes_context=True)
def overview(context: dict[str, Any]) -> dict[str, Any]:
    return {"overview": Overview(context["request"].user)}
