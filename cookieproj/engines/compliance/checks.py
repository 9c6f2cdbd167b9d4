"""The verdicts as system checks: ``asvs.7.3.1``, ``nist.5.1-2`` and so on.

A site asks for them with SESSION_ASVS_LEVEL or SESSION_NIST_AAL. They have the tags ``asvs`` and
``nist``, and are silenced as any other by SILENCED_SYSTEM_CHECKS.
"""

from typing import Any

from django.conf import settings
from django.core.checks import INFO, CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from cookieproj.engines.checks import engine_or_none

LEVELS = (1, 2, 3)
SETTINGS = {"asvs": "SESSION_ASVS_LEVEL", "nist": "SESSION_NIST_AAL"}


def level_of(prefix: str) -> int | None:
    """Return the level at which the site wants to be checked; None for not at all.

    Raises ImproperlyConfigured for another value.
    """
    value: Any = getattr(settings, SETTINGS[prefix], None)
    if value is None or (type(value) is int and value in LEVELS):
        return value
    text = _("%(setting)s = %(value)r must be 1, 2 or 3, or None.")
    raise ImproperlyConfigured(text % {"setting": SETTINGS[prefix], "value": value})


@register("asvs")
def asvs_is_met(**kwargs: Any) -> list[CheckMessage]:
    return check_messages("asvs")


@register("nist")
def nist_is_met(**kwargs: Any) -> list[CheckMessage]:
    return check_messages("nist")


def check_messages(prefix: str) -> list[CheckMessage]:
    """Return a message for each requirement that is not met."""
    try:
        level = level_of(prefix)
    except ImproperlyConfigured as error:
        return [Error(str(error), id=f"{prefix}.E001")]
    if level is None or engine_or_none() is None:
        return []
    # Imported here, as a site that does not ask for it need not load it.
    from .report import failures, report  # noqa: PLC0415

    return [
        CheckMessage(
            line.severity,
            str(line.requirement.text),
            hint=line.finding.sentence,
            id=line.requirement.id,
        )
        for line in failures(report({prefix: level}), INFO)
    ]
