"""Logs without what opens a session."""

import logging
import re
from collections.abc import Iterator
from functools import partial
from logging import LogRecord
from typing import Any

from django.http import HttpRequest

HIDDEN = "[hidden]"

# What looks like something signed (data, moment, signature), or holds a key or a token: in the name
# of a file or of a cache's entry a key follows other letters. Each begins where none has begun, and
# takes back nothing (``++``), as else a long line, which any visitor can send, would take seconds.
SECRET = re.compile(r"(?<![\w.-])[\w.-]++:\w{6}:[\w-]{43}|[A-Za-z0-9]{32,}+")

# What logging itself writes on a record: no visitor has a say in when and where it was.
STANDARD = frozenset(vars(logging.makeLogRecord({})))

# A shorter value of a cookie is no secret, and may be a part of any word.
SHORTEST = 8


class HideSecrets(logging.Filter):
    """Whatever a record says, no session key stands in it, and no cookie of its request.

    For any handler, whatever its formatter writes::

        LOGGING = {
            "filters": {"secrets": {"()": "cookieproj.logs.HideSecrets"}},
            "handlers": {"file": {..., "filters": ["secrets"]}},
        }

    The record itself is changed: its request and its exception are text from then on, for the
    handlers that come after this one as well. Whatever mails or reports a trace of its own making
    comes before, and hides nothing.
    """

    def filter(self, record: LogRecord) -> bool:
        values = sorted(cookies(record), key=len, reverse=True)
        hidden = partial(masked, values)
        record.msg, record.args = hidden(message(record)), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.exc_info = None
        for name in {"exc_text", "stack_info", *vars(record).keys() - STANDARD}:
            setattr(record, name, hidden(getattr(record, name)))
        return True


def message(record: LogRecord) -> Any:
    """Its text; what is to be written as fields stays so."""
    if isinstance(record.msg, dict) and not record.args:
        return record.msg
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit raise what they like
        return record.msg, record.args


def masked(values: list[str], logged: Any) -> Any:
    """Never an error: of a filter it would be the view's."""
    try:
        return without(values, logged)
    except Exception:  # noqa: BLE001 - whatever an object raises that is asked for its text
        return HIDDEN


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
