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

import pytest
from django.core import mail, signing
from django.middleware.csrf import _get_new_csrf_string
from django.test import RequestFactory
from django.utils.log import AdminEmailHandler
from pytest_django import Settings

from cookieproj.engines.encrypted_cookies import SessionStore
from cookieproj.logs import HIDDEN
from cookieproj.settings.production import LOGGING

KEY = "0123456789abcdefghijklmnopqrstuv"


CONFIGURED: Any = DictConfigurator(LOGGING)
JSON = CONFIGURED.configure_formatter(CONFIGURED.config["formatters"]["json"])
SECRETS_FILTER = CONFIGURED.configure_filter(CONFIGURED.config["filters"]["secrets"])


def recorded(
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
    record = recorded(message, *arguments, **options)
    assert SECRETS_FILTER.filter(record)
    return json.loads(JSON.format(record))


def test_it_says_when_who_and_what() -> None:
    line = logged("%s is away", "Redis 127.0.0.1:6379/1")
    assert {
        "level": "ERROR",
        "logger": "cookieproj.logs",
        "message": "Redis 127.0.0.1:6379/1 is away",
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
def test_what_looks_like_a_key_is_hidden_wherever_it_stands(kind: str) -> None:
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
def test_so_is_a_key_in_a_name(name: str) -> None:
    line = logged("%s is gone", NAMES[name])
    assert KEY not in line["message"]
    assert line["message"].endswith("is gone")


def test_so_is_what_a_record_holds_besides() -> None:
    """Parameters of a query, for example, in any container."""
    found = logged("slow", params=(KEY, {KEY: [KEY]}, ValueError(KEY), 7), duration=0.25)
    assert found["params"] == [HIDDEN, {HIDDEN: [HIDDEN]}, HIDDEN, 7]
    assert found["duration"] == 0.25


@pytest.mark.parametrize("part", ["A", "A-", "A.", f"{'A' * 31}-", "a:", "a:123456:"])
def test_a_long_line_is_no_work(part: str) -> None:
    """A header may be 8 KB long. A pattern that backtracks took minutes for it."""
    began = time.process_time()
    logged("Invalid HTTP_HOST header: %r", part * (400_000 // len(part)))
    assert time.process_time() - began < 5


def test_no_cookie_blanks_when_and_where_it_was() -> None:
    record = logged("It is late", cookie="")
    line = logged("It is late", cookie=f"a={record['time'][:10]}; b=cookieproj.logs; c=It is late")
    assert (line["time"][:10], line["level"]) == (record["time"][:10], "ERROR")
    assert line["logger"] == record["logger"]
    assert line["message"] == HIDDEN


@pytest.mark.parametrize("value", ["a-key-of-another-make", '"quoted \\"twice\\" ü"', "a=b=c=d=e"])
def test_so_are_the_cookies_of_the_request(value: str) -> None:
    line = logged("It said %s", value, cookie=f"short=1; other={value}")
    assert line["message"] == f"It said {HIDDEN}"
    assert "request" not in line


def test_the_rest_stays() -> None:
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
def test_any_handler_hides_them(
    handler: Callable[[logging.LogRecord], str], settings: Settings
) -> None:
    settings.ADMINS = [("Ada", "ada@example.com")]
    cookie = "a-key-of-another-make"
    record = recorded(
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


class Unspeakable:
    def __str__(self) -> str:
        raise ZeroDivisionError


ROUND: list[Any] = []
ROUND.append(ROUND)


def test_a_record_that_cannot_be_read_is_no_error_of_the_view() -> None:
    """What a formatter raises, its handler tells; what a filter raises, whoever has logged gets."""
    assert logged("%d", KEY)["message"] == f"['%d', ['{HIDDEN}']]"
    found = logged("slow", params=ROUND, user=Unspeakable())
    assert (found["params"], found["user"]) == (HIDDEN, HIDDEN)


def test_fields_stay_fields() -> None:
    line = logged({"key": KEY, "seconds": 7})
    assert (line["key"], line["seconds"]) == (HIDDEN, 7)
