"""Logs for machines: a line of JSON for each record, without what opens a session."""

import re
from collections.abc import Iterator
from logging import LogRecord
from typing import Any

from django.http import HttpRequest
from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

HIDDEN = "[hidden]"

# What looks like something signed (data, moment, signature), or holds a key or a token: in the name
# of a file or of a cache's entry a key follows other letters. Each begins where none has begun, and
# takes back nothing (``++``), as else a long line, which any visitor can send, would take seconds.
SECRET = re.compile(r"(?<![\w.-])[\w.-]++:\w{6}:[\w-]{43}|[A-Za-z0-9]{32,}+")

# What no visitor has a say in, so that no cookie can blank it.
UNTOUCHED = {"time", "level", "logger"}

# A shorter value of a cookie is no secret, and may be a part of any word.
SHORTEST = 8


class Formatter(JsonFormatter):
    """Whatever a record says, no session key stands in it, and no cookie of its request."""

    def __init__(self) -> None:
        super().__init__(
            ["asctime", "levelname", "name", "message"],
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            reserved_attrs=[*RESERVED_ATTRS, "request"],
            json_ensure_ascii=False,
        )

    def add_fields(
        self, log_data: dict[str, Any], record: LogRecord, message_dict: dict[str, Any]
    ) -> None:
        super().add_fields(log_data, record, message_dict)
        values = sorted(cookies(record), key=len, reverse=True)
        for name in log_data.keys() - UNTOUCHED:
            log_data[name] = without(values, log_data[name])


def cookies(record: LogRecord) -> Iterator[str]:
    """The values that the request of that record brought, as sent and as understood."""
    request = getattr(record, "request", None)
    if not isinstance(request, HttpRequest):
        return
    sent = (pair.partition("=")[2] for pair in request.META.get("HTTP_COOKIE", "").split(";"))
    for value in (*sent, *request.COOKIES.values()):
        if len(value) >= SHORTEST:
            yield value


def without(values: list[str], logged: Any) -> Any:
    """What is logged, however deep, without those and without what looks like a secret."""
    match logged:
        case None | int() | float():
            return logged
        case dict():
            return {without(values, str(key)): without(values, logged[key]) for key in logged}
        case list() | tuple() | set() | frozenset():
            return [without(values, each) for each in logged]
    text = str(logged)
    for value in values:
        text = text.replace(value, HIDDEN)
    return SECRET.sub(HIDDEN, text)
