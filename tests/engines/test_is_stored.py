"""Whether a save would store what is stored already, by the serialized texts alone if possible."""

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from django.utils import timezone
from pytest_django import Settings

from cookieproj.engines import subclass_hooks
from cookieproj.engines.db import SessionStore
from cookieproj.engines.entries import Entry
from cookieproj.engines.merge import Data, same_data
from cookieproj.engines.signatures import dumps, sign
from cookieproj.engines.subclass_hooks import decoder, is_stored, serialized_form

STORED: list[Data] = [
    {},
    {"a": 1},
    {"a": True},
    {"a": 1.0},
    {"a": 12, "b": 3},
    {"b": 3, "a": 12},
    {"a": 13, "b": 2},
    {"a": [1, {"b": 2, "c": 3}]},
    {"a": [1, {"c": 3, "b": 2}]},
    {"a": float("nan")},
    {"1": "a"},
    {"_session_expiry": 60, "a": 1},
]
# What the serializer changes: a number as a key, a tuple.
CHANGED: list[Data] = [{1: "a"}, {"a": (1, {"b": 2, "c": 3})}]  # type: ignore[dict-item]


def entry_of(session: Any, data: Data, *, text: str = "") -> Entry:
    """Return the entry with that data after a request was loaded from it."""
    text = text or sign(dumps(data), session.key_salt)
    entry = Entry(text, decoder(session, "k" * 32, text))
    entry.decode()
    return entry


def comparing() -> Any:
    """Notice whether the data is decoded and compared."""
    return mock.patch.object(subclass_hooks, "same_data", wraps=same_data)


@pytest.mark.parametrize("stored", STORED)
def test_it_is_what_comparing_the_data_says(stored: Data) -> None:
    session = SessionStore()
    for data in STORED + CHANGED:
        entry = entry_of(session, stored)
        expected = same_data(stored, serialized_form(session, data))
        assert is_stored(session, entry, data) is expected, data


@pytest.mark.parametrize(
    ("data", "expected", "decodes"),
    [
        ({"a": 12, "b": [3]}, True, False),
        ({"a": 13, "b": [3]}, False, False),
        ({"a": 12, "b": [3], "c": 4}, False, False),
        ({"b": [3], "a": 12}, True, True),
        ({"b": [3], "a": 13}, False, True),
    ],
)
def test_only_another_order_is_decoded(data: Data, expected: bool, decodes: bool) -> None:
    session = SessionStore()
    entry = entry_of(session, {"a": 12, "b": [3]})
    with comparing() as compare:
        assert is_stored(session, entry, data) is expected
    assert compare.called is decodes


def encode(self: Any, data: Data) -> str:
    return sign(dumps(data), self.key_salt)


def test_data_is_compared_if_a_subclass_encodes_it() -> None:
    session = type("SessionStore", (SessionStore,), {"__module__": __name__, "encode": encode})()
    with comparing() as compare:
        assert is_stored(session, entry_of(session, {"a": 1}), {"a": 1})
    assert compare.called


def test_data_is_compared_if_nothing_was_decoded_yet() -> None:
    """As after a save: then the session itself has written the text."""
    session = SessionStore()
    text = session.encode({"a": 1})
    with comparing() as compare:
        assert is_stored(session, Entry(text, decoder(session, "k" * 32, text)), {"a": 1})
    assert compare.called


def invalid_messages() -> Data:
    return {"a": 1, "_messages": 5}


def moment_of_another_use_tz() -> Data:
    return {"a": 1, "_session_expiry": timezone.now().replace(tzinfo=None).isoformat()}


@pytest.mark.parametrize("make", [invalid_messages, moment_of_another_use_tz])
def test_data_is_compared_if_it_is_read_as_other_data(
    make: Callable[[], Data], settings: Settings
) -> None:
    """A save that changes nothing does not write then either."""
    session = SessionStore()
    entry = entry_of(session, {}, text=sign(dumps(make()), session.key_salt))
    with comparing() as compare:
        assert is_stored(session, entry, entry.decode() or {})
    assert compare.called


def test_value_that_cannot_be_serialized_raises() -> None:
    session = SessionStore()
    with pytest.raises(TypeError, match="not JSON serializable"):
        is_stored(session, entry_of(session, {"a": 1}), {"a": object()})
