"""``manage.py checksessions``: which requirements of ASVS and NIST this site meets."""

from typing import Any

from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cookieproj.engines.checks import engine_is_there
from cookieproj.engines.compliance.checks import LEVELS, level_of
from cookieproj.engines.compliance.report import FORMATS, failures, report

DEFAULT_LEVEL = 2


class Command(BaseCommand):
    help = _(
        "Say which requirements on sessions of OWASP ASVS 5.0 and NIST SP 800-63B-4 this site "
        "meets, and what to change for the others. The exit code is 1 if one is not met."
    )

    # It reports what the checks do.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--asvs", type=int, choices=LEVELS, help=_("Only ASVS, at this level."))
        parser.add_argument("--nist", type=int, choices=LEVELS, help=_("Only NIST, at this AAL."))
        form = parser.add_mutually_exclusive_group()
        for name, text in {"json": _("As JSON."), "markdown": _("As tables in Markdown.")}.items():
            form.add_argument(f"--{name}", dest="form", action="store_const", const=name, help=text)
        parser.add_argument(
            "--fail-level",
            default="INFO",
            choices=["INFO", "WARNING"],
            help=_("WARNING: what is only recommended (SHOULD) does not fail."),
        )

    def handle(self, **options: Any) -> None:
        if errors := engine_is_there():
            raise CommandError(errors[0].msg)
        asked = {name: options[name] for name in ("asvs", "nist") if options[name]}
        try:
            levels = asked or {name: level_of(name) or DEFAULT_LEVEL for name in ("asvs", "nist")}
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        lines = report(levels)
        self.stdout.write(FORMATS[options["form"] or "table"](lines))
        if number := len(failures(lines, getattr(checks, options["fail_level"]))):
            text = ngettext(
                "%(number)d requirement is not met.",
                "%(number)d requirements are not met.",
                number,
            )
            raise CommandError(text % {"number": number})
