"""Reads environment variables, each with its default."""

from django.core.exceptions import ImproperlyConfigured
from environ import Env

from .values import number, switch

env = Env()


def is_on(variable: str, *, default: bool) -> bool:
    """Whether the variable is on. Raises ImproperlyConfigured for a word that is neither."""
    try:
        return switch(env.str(variable, default="on" if default else "off"))
    except ValueError as error:
        raise ImproperlyConfigured(f"{variable}: {error}.") from None


def names(variable: str) -> list[str]:
    """Return the names that the variable lists, separated by commas; none if it is not set."""
    parts = [name.strip() for name in env.str(variable, default="").split(",")]
    return [name for name in parts if name]


def hosts(variable: str) -> list[str]:
    """Return the host names that the variable lists.

    Raises ImproperlyConfigured for a scheme, a port or a path: such a host matches no request.
    """
    host_names = names(variable)
    for host in host_names:
        is_ipv6 = host.startswith("[") and host.endswith("]")
        if "/" in host or (":" in host and not is_ipv6):
            raise ImproperlyConfigured(
                f"{variable}: {host!r} is no host name. Leave out scheme, port and path, as in "
                "example.com; an IPv6 address stands in brackets."
            )
    return host_names


def whole_number(variable: str, *, default: int, minimum: int = 0) -> int:
    """Return the number. Raises ImproperlyConfigured for other text or a smaller number."""
    try:
        value = number(env.str(variable, default=str(default)))
        if value < minimum:
            raise ValueError(f"{value} is less than {minimum}")
    except ValueError as error:
        raise ImproperlyConfigured(f"{variable}: {error}.") from None
    return value
