"""The paginator and filters of the admin's lists, which stay fast with any number of rows."""

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

# Rows on all pages of a list together. A search finds the others.
MAX_ROWS_LISTED = 10_000


class CappedPaginator(Paginator):  # type: ignore[type-arg] # generic only in the stubs
    """Counts at most MAX_ROWS_LISTED rows, so a list of a million opens as fast as a short one."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows[:MAX_ROWS_LISTED].count())


class ColumnValuesFilter(admin.SimpleListFilter):
    """Filters by the values of an indexed column. Each value costs one query on the index."""

    MAX_VALUES = 50

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(value, value or _("unknown")) for value in islice(self.values(), self.MAX_VALUES)]

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
            # PostgreSQL refuses a text with it.
            raise IncorrectLookupParameters
        return queryset.filter(**{self.parameter_name or "": value})


class EngineFilter(ColumnValuesFilter):
    title = _("engine")
    parameter_name = "engine"


class DeviceFilter(ColumnValuesFilter):
    title = _("device")
    parameter_name = "system"
