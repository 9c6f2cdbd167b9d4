"""Log lines contain no session key, cookie or token."""

import json
import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from logging.config import DictConfigurator
from typing import Any

import django
import pytest
from django.core import mail, signing
from django.middleware.csrf import _get_new_csrf_string
from django.test import RequestFactory
from django.utils.log import AdminEmailHandler
from pytest_django import Settings

from cookieproj.engines.encrypted_cookies import SessionStore
from cookieproj.logs import HIDDEN
from cookieproj.settings.production import LOGGING
from tests.mailers import use_mailer

KEY = "0123456789abcdefghijklmnopqrstuv"


CONFIGURED: Any = DictConfigurator(LOGGING)
JSON = CONFIGURED.configure_formatter(CONFIGURED.config["formatters"]["json"])
SECRETS_FILTER = CONFIGURED.configure_filter(CONFIGURED.config["filters"]["secrets"])


def make_record(
    message: Any,
    *arguments: Any,
    error: Exception | None = None,
    cookie: str = "",
    path: str = "/",
    **extra: Any,
) -> logging.LogRecord:
    record = logging.LogRecord("cookieproj.logs", logging.ERROR, "", 1, message, arguments, None)
    vars(record).update(extra)
    if cookie:
        record.request = RequestFactory().get(path, headers={"Cookie": cookie})
    if error:
        try:
            raise error
        except type(error):
            record.exc_info = sys.exc_info()
    return record


def logged(message: Any, *arguments: Any, **options: Any) -> Any:
    """Return the log line of a public site, parsed from JSON."""
    record = make_record(message, *arguments, **options)
    assert SECRETS_FILTER.filter(record)
    return json.loads(JSON.format(record))


def test_line_has_time_level_logger_and_message() -> None:
    line = logged("%s is unreachable", "Redis 127.0.0.1:6379/1")
    assert {
        "level": "ERROR",
        "logger": "cookieproj.logs",
        "message": "Redis 127.0.0.1:6379/1 is unreachable",
    }.items() <= line.items()
    assert line["time"]


SECRETS = {
    "key": KEY,
    "token": _get_new_csrf_string(),
    "signed": signing.dumps({"a": 1}),
    "compressed": signing.dumps("a" * 100, compress=True),
    "encrypted": SessionStore().make_cookie({"a": 1}, datetime.now(UTC)),
}


@pytest.mark.parametrize("kind", SECRETS)
def test_secret_in_message_or_traceback_is_hidden(kind: str) -> None:
    secret = SECRETS[kind]
    line = logged("Not Found: /in-path/%s/kitchen/", secret)
    assert line["message"] == f"Not Found: /in-path/{HIDDEN}/kitchen/"
    error = ValueError(f"Key (session_key)=({secret}) already exists.")
    line = logged("Internal Server Error", error=error)
    assert line["exc_info"].endswith(f"Key (session_key)=({HIDDEN}) already exists.")


# Names that contain a key: a file, an unfinished file, and a cache entry.
NAMES = {
    "file": f"/srv/sessions/__Host-sessionid{KEY}",
    "unfinished": f"/srv/sessions/sessionid{KEY}_out_ab12",
    "entry": f":1:django.contrib.sessions.cached_db{KEY}",
}


@pytest.mark.parametrize("name", NAMES)
def test_key_in_a_name_is_hidden(name: str) -> None:
    line = logged("%s is gone", NAMES[name])
    assert KEY not in line["message"]
    assert line["message"].endswith("is gone")


def test_key_in_extra_fields_is_hidden() -> None:
    """For example, parameters of a query, in any container."""
    line = logged("slow", params=(KEY, {KEY: [KEY]}, ValueError(KEY), 7), duration=0.25)
    assert line["params"] == [HIDDEN, {HIDDEN: [HIDDEN]}, HIDDEN, 7]
    assert line["duration"] == 0.25


@pytest.mark.parametrize("part", ["A", "A-", "A.", f"{'A' * 31}-", "a:", "a:123456:"])
def test_long_line_is_filtered_quickly(part: str) -> None:
    """A header may have 8 KB. A backtracking pattern took minutes for it."""
    started = time.process_time()
    logged("Invalid HTTP_HOST header: %r", part * (400_000 // len(part)))
    assert time.process_time() - started < 5


def test_cookies_do_not_hide_time_level_and_logger() -> None:
    record = logged("It is late", cookie="")
    line = logged("It is late", cookie=f"a={record['time'][:10]}; b=cookieproj.logs; c=It is late")
    assert (line["time"][:10], line["level"]) == (record["time"][:10], "ERROR")
    assert line["logger"] == record["logger"]
    assert line["message"] == HIDDEN


@pytest.mark.parametrize("value", ["a-key-of-another-make", '"quoted \\"twice\\" ü"', "a=b=c=d=e"])
def test_cookies_of_the_request_are_hidden(value: str) -> None:
    line = logged("The value is %s", value, cookie=f"short=1; other={value}")
    assert line["message"] == f"The value is {HIDDEN}"
    assert "request" not in line


def test_other_text_is_unchanged() -> None:
    text = "Saved 32 sessions of 1,209,600 s by cookieproj.engines.cached_db: 1:00:00"
    assert logged(text, cookie="color=sessions")["message"].startswith("Saved 32")
    assert logged(text)["message"] == text


def written(record: logging.LogRecord) -> str:
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s %(request)s %(params)s"))
    handler.addFilter(SECRETS_FILTER)
    handler.handle(record)
    return stream.getvalue()


def mailed(record: logging.LogRecord) -> str:
    handler = AdminEmailHandler(include_html=True)
    handler.addFilter(SECRETS_FILTER)
    handler.handle(record)
    (message,) = mail.outbox
    return str(message.message())


@pytest.mark.parametrize("handler", [written, mailed])
def test_any_handler_hides_secrets(
    handler: Callable[[logging.LogRecord], str], settings: Settings
) -> None:
    use_mailer(settings)
    address: Any = "ada@example.com"
    settings.ADMINS = [address if django.VERSION >= (6, 0) else ("Ada", address)]
    cookie = "a-key-of-another-make"
    record = make_record(
        "%s, %s",
        KEY,
        cookie,
        error=ValueError(f"No {KEY}"),
        cookie=f"other={cookie}",
        path=f"/in-path/{KEY}/",
        params=[KEY],
        stack_info=f"at {KEY}",
    )
    text = handler(record)
    assert f"{HIDDEN}, {HIDDEN}" in text
    # The exception has become text, so the mail has no traceback.
    assert (f"No {HIDDEN}" in text) is (handler is written)
    assert KEY not in text
    assert cookie not in text


class WithoutText:
    def __str__(self) -> str:
        raise ZeroDivisionError


RECURSIVE: list[Any] = []
RECURSIVE.append(RECURSIVE)


def test_record_that_cannot_be_formatted_raises_no_error() -> None:
    """A handler catches errors of formatters, but errors of a filter reach the view."""
    assert logged("%d", KEY)["message"] == f"['%d', ['{HIDDEN}']]"
    line = logged("slow", params=RECURSIVE, user=WithoutText())
    assert (line["params"], line["user"]) == (HIDDEN, HIDDEN)


def test_fields_of_a_message_are_fields_of_the_line() -> None:
    line = logged({"key": KEY, "seconds": 7})
    assert (line["key"], line["seconds"]) == (HIDDEN, 7)
