"""What a recipe answers to wrong input: for each field what was wrong, and what to type."""

from typing import Any

from django.forms import CharField, ChoiceField, DateTimeField, Field, Form, IntegerField
from django.utils.text import Truncator
from django.utils.translation import gettext as _

# Django repeats a wrong value, which may be long.
MAX_MESSAGE_CHARACTERS = 200


def error_messages(form: Form) -> str:
    """Return a line for each error of the form."""
    return "\n".join(
        f"{name}: {with_advice(str(message), form.fields[name])}"
        for name, errors in form.errors.items()
        for message in errors
    )


def with_advice(message: str, field: Field) -> str:
    shown, advice = Truncator(message).chars(MAX_MESSAGE_CHARACTERS), what_to_type(field)
    return _("%(one)s %(other)s") % {"one": shown, "other": advice} if advice else shown


def what_to_type(field: Field) -> str:
    """Return what the field takes, computed from its limits, its choices or its initial value."""
    match field:
        case IntegerField():
            limits = {"least": field.min_value, "most": field.max_value}
            return _("Type a whole number from %(least)d to %(most)d.") % limits
        case DateTimeField():
            return _("Type it as year-month-day hour:minute in UTC, such as %(example)s.") % {
                "example": example(field)
            }
        case ChoiceField():
            choices: Any = field.choices
            values = ", ".join(value for value, _label in choices if value)
            return _("Type one of these: %(values)s.") % {"values": values}
        case CharField() if field.initial:
            return _("Type for example: %(example)s") % {"example": example(field)}
    return ""


def example(field: Field) -> str:
    initial = field.initial
    return str(initial() if callable(initial) else initial)
