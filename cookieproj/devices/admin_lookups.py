"""Restricts the lookups in URLs of the admin's lists, and the rows that an action selects."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import FieldDoesNotExist
from django.db import DatabaseError
from django.db.models import Model, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest

from cookieproj.engines.primary_keys import primary_key

# Errors of a lookup with an invalid value: half a range, or a number too large for the column.
LOOKUP_ERRORS = (ValueError, TypeError, LookupError, ArithmeticError, DatabaseError)


class AllowedLookupsAdmin(admin.ModelAdmin):
    """An admin whose lists can be filtered only by the fields that they show.

    It treats an error of the query as Django treats an error in a lookup. Django notices only
    those that occur before the query. An invalid regular expression, year or IP address fails in
    the query itself.
    """

    # Fields, also of related models, by which a list may be filtered, with any lookup. Django
    # allows all columns of the model: a few hundred queries then reveal a secret column.
    allowed_lookups: tuple[str, ...] = ()

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return field_path(self.model, lookup) in self.allowed_lookups

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        try:
            return super().get_changelist_instance(request)
        except LOOKUP_ERRORS as error:
            raise IncorrectLookupParameters(error) from error

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Treat an empty field name, as in ``?_to_field=``, as none."""
        return super().get_object(request, object_id, from_field or None)

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Ignore selected values that are no primary keys, like keys that no row has."""
        form = request.POST.copy()
        form.setlist(
            ACTION_CHECKBOX_NAME, list(self.valid_keys(form.getlist(ACTION_CHECKBOX_NAME)))
        )
        request.POST = form  # type: ignore[assignment]
        return super().response_action(request, queryset, *args, **kwargs)

    def valid_keys(self, values: list[str]) -> Iterator[str]:
        return (value for value in values if primary_key(self.model, value) is not None)


def field_path(model: type[Model], lookup: str) -> str:
    """Return the names of the fields in a lookup, joined by "__", without the lookup type."""
    names: list[str] = []
    for part in lookup.split(LOOKUP_SEP):
        try:
            field: Any = model._meta.pk if part == "pk" else model._meta.get_field(part)
        except FieldDoesNotExist:
            break
        names.append(field.name)
        if field.related_model is None:
            break
        model = field.related_model
    return LOOKUP_SEP.join(names)
