"""How far the lists of the admin lead, and what filters them, however many rows there are."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from .models import SignedInSession

# Rows of a list that can be paged to: beyond, one searches.
LISTED_AT_MOST = 10_000


class CappedPaginator(Paginator):  # type: ignore[type-arg] # in the stubs alone it has one
    """Counts as far as it leads, and no further: a list of a million opens like one of ten."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows[:LISTED_AT_MOST].count())


class ValuesFilter(admin.SimpleListFilter):
    """The values that there are of an indexed column, each found by one step in the index."""

    MOST = 50

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(value, value or _("unknown")) for value in islice(self.values(), self.MOST)]

    def values(self) -> Iterator[str]:
        column = self.parameter_name or ""
        rows = SignedInSession.objects.order_by(column).values_list(column, flat=True)
        value = rows.first()
        while value is not None:
            yield value
            value = rows.filter(**{f"{column}__gt": value}).first()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value is None:
            return queryset
        if "\0" in value:
            raise IncorrectLookupParameters
        return queryset.filter(**{self.parameter_name or "": value})


class EngineFilter(ValuesFilter):
    title = _("engine")
    parameter_name = "engine"


class DeviceFilter(ValuesFilter):
    title = _("device")
    parameter_name = "system"
