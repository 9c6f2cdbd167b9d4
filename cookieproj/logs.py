"""A logging filter that hides session keys, cookies and tokens."""

import logging
import re
from collections.abc import Iterator
from functools import partial
from logging import LogRecord
from typing import Any

from django.http import HttpRequest

HIDDEN = "[hidden]"

# Matches signed text (data, time, signature), and any word that is long enough to contain a key or
# a token: in the name of a file or a cache entry, a key follows other letters. The look-behind and
# the possessive quantifiers (``++``) keep the time linear. Otherwise a long line, which any visitor
# can send, would take seconds.
SECRET = re.compile(
    r"(?<![\w.-])[\w.-]++:\w{6}:[\w-]{43}|(?<![\w.-])e1\.[\w-]{54,}+|[A-Za-z0-9]{32,}+"
)

# The attributes that logging itself sets on a record. No visitor can influence them.
STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({})))

# A shorter cookie value is no secret, and may be a part of any word.
MIN_SECRET_LENGTH = 8


class HideSecrets(logging.Filter):
    """Hides session keys, and the cookies of the record's request, in all parts of a record.

    Works for any handler and formatter::

        LOGGING = {
            "filters": {"secrets": {"()": "cookieproj.logs.HideSecrets"}},
            "handlers": {"file": {..., "filters": ["secrets"]}},
        }

    The filter changes the record itself: its request and its exception become text, also for
    later handlers. A handler that formats the traceback itself, to mail or report it, must come
    earlier, and hides nothing.
    """

    def filter(self, record: LogRecord) -> bool:
        cookies = sorted(cookie_values(record), key=len, reverse=True)
        hide = partial(hide_safely, cookies)
        record.msg, record.args = hide(message(record)), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.exc_info = None
        for name in {"exc_text", "stack_info", *vars(record).keys() - STANDARD_ATTRIBUTES}:
            setattr(record, name, hide(getattr(record, name)))
        return True


def message(record: LogRecord) -> Any:
    """Return the record's text, or its dict: a JSON formatter writes a dict as fields."""
    if isinstance(record.msg, dict) and not record.args:
        return record.msg
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit may raise anything
        return record.msg, record.args


def hide_safely(cookies: list[str], logged: Any) -> Any:
    """Like ``hide_secrets``, but never raise: an error in a filter reaches the view that logs."""
    try:
        return hide_secrets(cookies, logged)
    except Exception:  # noqa: BLE001 - ``str`` of an object may raise anything
        return HIDDEN


def cookie_values(record: LogRecord) -> Iterator[str]:
    """Yield the cookie values of the record's request, both as sent and as parsed."""
    request = getattr(record, "request", None)
    if not isinstance(request, HttpRequest):
        return
    sent = (pair.partition("=")[2] for pair in request.META.get("HTTP_COOKIE", "").split(";"))
    for value in (*sent, *request.COOKIES.values()):
        if len(value) >= MIN_SECRET_LENGTH:
            yield value


def hide_secrets(cookies: list[str], logged: Any) -> Any:
    """Return what is logged without those values and without text that looks like a secret."""
    match logged:
        case None | int() | float():
            return logged
        case dict():
            return {
                hide_secrets(cookies, str(key)): hide_secrets(cookies, value)
                for key, value in logged.items()
            }
        case list() | tuple() | set() | frozenset():
            return [hide_secrets(cookies, item) for item in logged]
    text = str(logged)
    for value in cookies:
        text = text.replace(value, HIDDEN)
    return SECRET.sub(HIDDEN, text)
