"""Primary keys as they come from outside: from an address, a form or a session."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models


def primary_key(model: type[models.Model], value: Any) -> Any:
    """The value as a primary key of that model, of whatever type; None where it cannot be one."""
    try:
        return model._meta.pk.clean(value, None)
    except (ValidationError, OverflowError):
        return None
