"""The numbers of stored sessions, shown above the admin's list."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _

from . import inspector
from .exceptions import SessionStoreError
from .listing import Estimate


@dataclass(frozen=True)
class Overview:
    """The numbers that this user of the admin may see."""

    user: Any

    @property
    def sees_stored(self) -> bool:
        return bool(self.user.has_perm("cookieproj_engines.view_storedsession"))

    @cached_property
    def stored(self) -> int | str:
        return counted(lambda: inspector.store().count())

    @cached_property
    def expired(self) -> int | str:
        return counted(lambda: inspector.store().count_expired())


def counted(count: Callable[[], int]) -> int | str:
    """Return the number, or a sentence that says why it is unknown."""
    try:
        return count()
    except SessionStoreError as error:
        return str(error)


def figure(value: int | str) -> str:
    """Return the number or the sentence as text; an Estimate with "about"."""
    if isinstance(value, str):
        return value
    number = intcomma(value)
    return _("about %(number)s") % {"number": number} if isinstance(value, Estimate) else number
