"""The fields of a recipe's form in its curl command, as static/demo/curl.js writes them later."""

from collections.abc import Iterator

from django.forms import BoundField, Form


def curl_options(form: Form) -> list[str]:
    """Return an option for each field that a browser sends, with its initial value."""
    return [f"--data-urlencode {quoted(pair)}" for pair in pairs(form)]


def pairs(form: Form) -> Iterator[str]:
    for field in form:
        if field.widget_type != "checkbox" or field.value():
            yield f"{field.name}={shown_value(field)}"


def shown_value(field: BoundField) -> str:
    """Return the value in the command, which must not show a password."""
    match field.widget_type:
        case "password":
            return "…"
        case "checkbox":
            return "on"
        case _:
            return "" if field.value() is None else str(field.value())


def quoted(text: str) -> str:
    """Quote a text for a shell. Unlike shlex.quote, it quotes each text."""
    return "'" + text.replace("'", "'\\''") + "'"
