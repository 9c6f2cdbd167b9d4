"""What a request tells of the browser that sent it."""

from ipaddress import IPv6Address, ip_address

from django.http import HttpRequest

from . import conf

# Longer ones are no browser's, and would only keep the parser busy.
USER_AGENT = 500


def device_of(request: HttpRequest) -> tuple[str, str]:
    """Browser and operating system, both without their versions; empty where not recognised."""
    # Here, so that a check can say that it is missing.
    from ua_parser import parse  # noqa: PLC0415

    found = parse(request.headers.get("User-Agent", "")[:USER_AGENT])
    browser = found.user_agent.family if found.user_agent else ""
    system = found.os.family if found.os else ""
    return browser[:100], system[:100]


def address_of(request: HttpRequest) -> str | None:
    """The address that the request came from; None where there is none, as on a Unix socket.

    DEVICES_PROXIES says how many reverse proxies stand before this site. Each appends to
    X-Forwarded-For who asked it, so counted from the right that many entries are true.
    What stands before them anybody may have written, and with no proxy all of it.
    """
    entries = [request.META.get("REMOTE_ADDR", "")]
    if conf.proxies():
        forwarded = request.headers.get("X-Forwarded-For", "").split(",")
        entries = [*filter(None, map(str.strip, forwarded)), *entries]
    return parsed(entries[-min(conf.proxies() + 1, len(entries))])


def parsed(entry: str) -> str | None:
    """An address without port, brackets or zone, each of which some proxy adds."""
    host = entry.partition("]")[0].removeprefix("[")
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address)
