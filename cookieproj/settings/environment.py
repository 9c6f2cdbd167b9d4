"""What the environment says, each variable with its default."""

from django.core.exceptions import ImproperlyConfigured
from environ import Env

from .values import number, switch

env = Env()


def is_on(variable: str, *, default: bool) -> bool:
    """Whether the environment says so; neither word is taken for the other."""
    try:
        return switch(env.str(variable, default="on" if default else "off"))
    except ValueError as error:
        raise ImproperlyConfigured(f"{variable}: {error}.") from None


def whole_number(variable: str, *, default: int, least: int = 0) -> int:
    try:
        found = number(env.str(variable, default=str(default)))
        if found < least:
            raise ValueError(f"{found} is less than {least}")
    except ValueError as error:
        raise ImproperlyConfigured(f"{variable}: {error}.") from None
    return found
