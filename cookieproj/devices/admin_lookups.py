"""What may be asked of the lists of the admin, and selected in them."""

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

# What a lookup of a wrong value is found out by: half a range, a number that no column holds.
LOOKUP_ERRORS = (ValueError, TypeError, LookupError, ArithmeticError, DatabaseError)


class AllowedLookupsAdmin(admin.ModelAdmin):
    """Answers what is asked of a list in its address: nothing that it does not show.

    Takes what a database, or its driver, cannot look up as Django takes a wrong lookup.
    Django catches what goes wrong as a lookup is made. A regular expression that is none, a
    year without end or an address that is no address is not found out before the query.
    """

    # Fields, also of what is related, by which a list may be filtered, with any lookup of theirs.
    # Django allows all of its own columns, and a few hundred questions spell out a secret one.
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
        """A field without a name, as in ``?_to_field=``, is none."""
        return super().get_object(request, object_id, from_field or None)

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], *where: Any) -> Any:
        """What can be no primary key selects nothing, as one that nothing has."""
        form = request.POST.copy()
        form.setlist(ACTION_CHECKBOX_NAME, list(self.keys(form.getlist(ACTION_CHECKBOX_NAME))))
        request.POST = form  # type: ignore[assignment]
        return super().response_action(request, queryset, *where)

    def keys(self, values: list[str]) -> Iterator[str]:
        return (value for value in values if primary_key(self.model, value) is not None)


def field_path(model: type[Model], lookup: str) -> str:
    """The fields that a lookup leads through, by their names, without what it does to the last."""
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
