"""The browser, the operating system and the IP address that a request came from."""

from ipaddress import IPv6Address, ip_address

from django.http import HttpRequest

from . import conf

# Characters. No browser sends a longer one, which would only keep the parser busy.
MAX_USER_AGENT_LENGTH = 500


def device_of(request: HttpRequest) -> tuple[str, str]:
    """Return browser and operating system, without versions; empty if they are not recognised."""
    # Imported here so that a system check can report that the package is missing.
    from ua_parser import parse  # noqa: PLC0415

    result = parse(request.headers.get("User-Agent", "")[:MAX_USER_AGENT_LENGTH])
    browser = result.user_agent.family if result.user_agent else ""
    system = result.os.family if result.os else ""
    return browser[:100], system[:100]


def address_of(request: HttpRequest) -> str | None:
    """Return the IP address of the client; None if there is none, as on a Unix socket.

    DEVICES_PROXIES is the number of reverse proxies in front of this site. Each appends its
    client to X-Forwarded-For, so that many entries from the right are true. The client itself may
    have written the entries before them, and without a proxy all of them.
    """
    entries = [request.META.get("REMOTE_ADDR", "")]
    if conf.proxies():
        forwarded = request.headers.get("X-Forwarded-For", "").split(",")
        entries = [*filter(None, map(str.strip, forwarded)), *entries]
    return parse_address(entries[-min(conf.proxies() + 1, len(entries))])


def parse_address(entry: str) -> str | None:
    """Return the address without the port, brackets or zone that some proxies add; else None."""
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
