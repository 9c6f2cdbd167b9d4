"""Primary keys from outside: from a URL, a form or a session."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models


def primary_key(model: type[models.Model], value: Any) -> Any:
    """Return the value converted to a primary key of that model; None if it cannot be one."""
    try:
        return model._meta.pk.clean(value, None)
    except (ValidationError, OverflowError):
        return None
