from typing import Any

from django import template

from demo.overview import Overview

register = template.Library()


@register.inclusion_tag("admin/demo/overview.html", takes_context=True)
def overview(context: dict[str, Any]) -> dict[str, Any]:
    return {"overview": Overview(context["request"].user)}
