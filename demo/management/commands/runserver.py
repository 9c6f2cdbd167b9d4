import os
import socket
from typing import Any

from django.contrib.staticfiles.management.commands.runserver import Command as Runserver
from django.core.management.base import CommandError
from django.utils.autoreload import DJANGO_AUTORELOAD_ENV
from django.utils.translation import gettext as _


class Command(Runserver):
    """Django's runserver, which tells of a taken port before it starts and what to do then."""

    addr: str
    port: str
    use_ipv6: bool

    def run(self, **options: Any) -> None:
        # The reloader's child starts again and again; its parent has asked already.
        if os.environ.get(DJANGO_AUTORELOAD_ENV) != "true":
            self.refuse_taken_port()
        super().run(**options)

    def refuse_taken_port(self) -> None:
        family = socket.AF_INET6 if self.use_ipv6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.addr, int(self.port)))
            except (OSError, OverflowError) as error:
                raise CommandError(
                    _(
                        "Cannot serve on %(address)s:%(port)s (%(error)s). "
                        "Name another port, such as: manage.py runserver 8010"
                    )
                    % {"address": self.addr, "port": self.port, "error": error}
                ) from None
