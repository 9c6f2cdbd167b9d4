"""``manage.py runserver``: Django's command. If its port is in use, the error names a free one."""

import errno
import socket
from itertools import chain, filterfalse
from typing import Any

from django.contrib.staticfiles.management.commands.runserver import Command as RunServer
from django.core.management.base import CommandError
from django.utils.translation import gettext as _

# A port below needs the rights of root.
FIRST_PORT, LAST_PORT = 1024, 65535


class Command(RunServer):
    addr: str
    port: str
    use_ipv6: bool

    def run(self, **options: Any) -> None:
        busy = int(self.port)
        if busy > LAST_PORT:
            raise CommandError(
                _("There is no port %(port)d: the last is %(last)d.")
                % {"port": busy, "last": LAST_PORT}
            )
        if self.is_busy(busy):
            free = self.free_port(busy)
            raise CommandError(
                _("Port %(busy)d is in use. Port %(free)d is free: scripts/run %(argument)s")
                % {"busy": busy, "free": free, "argument": self.argument_for(free)}
            )
        super().run(**options)

    def is_busy(self, port: int) -> bool:
        """Whether another program listens there. Any other error is left to Django."""
        family = socket.AF_INET6 if self.use_ipv6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as candidate:
            # As Django's server does.
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                candidate.bind((self.addr, port))
            except OSError as error:
                return error.errno == errno.EADDRINUSE
        return False

    def free_port(self, busy: int) -> int:
        """Return the next port that is free now, or else one below."""
        ports = chain(range(busy + 1, LAST_PORT + 1), range(FIRST_PORT, busy))
        return next(filterfalse(self.is_busy, ports))

    def argument_for(self, port: int) -> str:
        """Return the argument that asks for this port on the same address."""
        if self.addr in {self.default_addr, self.default_addr_ipv6}:
            return str(port)
        return f"[{self.addr}]:{port}" if self.use_ipv6 else f"{self.addr}:{port}"
