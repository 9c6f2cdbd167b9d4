"""What a line of the log says, and what it never does."""

import json
import logging
import sys
from typing import Any

import pytest
from django.core import signing
from django.middleware.csrf import _get_new_csrf_string
from django.test import RequestFactory

from cookieproj.logs import HIDDEN, Formatter

KEY = "0123456789abcdefghijklmnopqrstuv"


def logged(message: str, *arguments: Any, error: Exception | None = None, cookie: str = "") -> Any:
    """The line, as it would be read back."""
    record = logging.LogRecord("demo", logging.ERROR, "", 1, message, arguments, None)
    if cookie:
        record.request = RequestFactory().get("/", headers={"Cookie": cookie})
    if error:
        try:
            raise error
        except type(error):
            record.exc_info = sys.exc_info()
    return json.loads(Formatter().format(record))


def test_it_says_when_who_and_what() -> None:
    line = logged("%s is away", "Redis 127.0.0.1:6379/1")
    assert {
        "level": "ERROR",
        "logger": "demo",
        "message": "Redis 127.0.0.1:6379/1 is away",
    }.items() <= line.items()
    assert line["time"]


SECRETS = {
    "key": KEY,
    "token": _get_new_csrf_string(),
    "signed": signing.dumps({"a": 1}),
    "compressed": signing.dumps("a" * 100, compress=True),
}


@pytest.mark.parametrize("kind", SECRETS)
def test_what_looks_like_a_key_is_hidden_wherever_it_stands(kind: str) -> None:
    secret = SECRETS[kind]
    line = logged("Not Found: /in-path/%s/kitchen/", secret)
    assert line["message"] == f"Not Found: /in-path/{HIDDEN}/kitchen/"
    error = ValueError(f"Key (session_key)=({secret}) already exists.")
    line = logged("Internal Server Error", error=error)
    assert line["exc_info"].endswith(f"Key (session_key)=({HIDDEN}) already exists.")


@pytest.mark.parametrize("value", ["a-key-of-another-make", '"quoted \\"twice\\" ü"', "a=b=c=d=e"])
def test_so_are_the_cookies_of_the_request(value: str) -> None:
    line = logged("It said %s", value, cookie=f"short=1; other={value}")
    assert line["message"] == f"It said {HIDDEN}"
    assert "request" not in line


def test_the_rest_stays() -> None:
    text = "Saved 32 sessions of 1,209,600 s by cookieproj.engines.cached_db: 1:00:00"
    assert logged(text, cookie="color=sessions")["message"].startswith("Saved 32")
    assert logged(text)["message"] == text
