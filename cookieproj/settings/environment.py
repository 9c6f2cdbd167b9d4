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


def names(variable: str) -> list[str]:
    """Those between its commas; none where it is unset."""
    found = [name.strip() for name in env.str(variable, default="").split(",")]
    return [name for name in found if name]


def hosts(variable: str) -> list[str]:
    """Names, without what else an address has: a host with that would match no request."""
    found = names(variable)
    for host in found:
        is_ipv6 = host.startswith("[") and host.endswith("]")
        if "/" in host or (":" in host and not is_ipv6):
            raise ImproperlyConfigured(
                f"{variable}: {host!r} is no host name. Leave out scheme, port and path, as in "
                "example.com; an IPv6 address stands in brackets."
            )
    return found


def whole_number(variable: str, *, default: int, least: int = 0) -> int:
    try:
        found = number(env.str(variable, default=str(default)))
        if found < least:
            raise ValueError(f"{found} is less than {least}")
    except ValueError as error:
        raise ImproperlyConfigured(f"{variable}: {error}.") from None
    return found
