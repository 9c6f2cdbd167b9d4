"""Sentences, lists, times and numbers in words, in the visitor's language."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import reduce
from typing import Any

from django.utils.formats import date_format, number_format
from django.utils.functional import Promise, lazy
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cookieproj.engines import clock

MINUTE, HOUR, DAY = 60, 60 * 60, 24 * 60 * 60


def joined(sentences: Iterable[str | Promise]) -> str:
    # Translators: two sentences. Some languages have no space between them.
    return chained(_("%(one)s %(other)s"), sentences)


def listed(items: Iterable[str]) -> str:
    # Translators: two items of a list whose items may have commas.
    return chained(_("%(one)s; %(other)s"), items)


def chained(pattern: str, texts: Iterable[str | Promise]) -> str:
    """Join the texts two by two; "" for none."""
    return reduce(
        lambda one, other: pattern % {"one": one, "other": other} if one else other,
        map(str, texts),
        "",
    )


def duration(seconds: int) -> str:
    """Return a time in days, hours, minutes and seconds, without those that are zero."""
    days, rest = divmod(seconds, DAY)
    hours, rest = divmod(rest, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    parts = [
        (days, ngettext("%(days)d day", "%(days)d days", days) % {"days": days}),
        (hours, ngettext("%(hours)d hour", "%(hours)d hours", hours) % {"hours": hours}),
        (
            minutes,
            ngettext("%(minutes)d minute", "%(minutes)d minutes", minutes) % {"minutes": minutes},
        ),
        (rest, ngettext("%(seconds)d second", "%(seconds)d seconds", rest) % {"seconds": rest}),
    ]
    # Translators: two parts of a time, as in "23 hours, 59 minutes".
    pattern = _("%(one)s, %(other)s")
    return chained(pattern, [text for number, text in parts if number] or [parts[-1][1]])


def time_until(time: datetime) -> str:
    """Return the time until then, to the minute if it is longer than one; 0 seconds if it is past.

    So a session that has just begun ends in "14 days", as the settings say.
    """
    seconds = max(0, round(clock.time_until(time).total_seconds()))
    return duration(seconds if seconds < MINUTE else round(seconds / MINUTE) * MINUTE)


def moment(time: datetime) -> str:
    """Return a time in UTC, to the second."""
    return date_format(time.astimezone(UTC), "Y-m-d H:i:s", use_l10n=False)


def grouped(number: int) -> str:
    """Return a number as the language groups its digits: 4,096."""
    return number_format(number, force_grouping=True)


# For texts that are made when a module is imported.
lazily_joined: Any = lazy(joined, str)
