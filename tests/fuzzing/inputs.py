"""Strategies for invalid input: nearly valid data, and values of a wrong type."""

import json
from typing import Any

from hypothesis import strategies as st

NESTED: Any = []
for _level in range(300):
    NESTED = [NESTED]

# Each has broken some program. Only Python's JSON accepts NaN and lone surrogates.
NOTORIOUS: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, 10**4000, -(10**30), 10**12),
    *(0.5, -0.0, 1e308, float("nan"), float("inf"), float("-inf")),
    *("", " ", "0", "1", "-1", "9" * 40, "x" * 5000, "\0", "\ud800", "é", "名", "null"),
    *(
        "2026-01-01",
        "2999-01-01T00:00:00",
        "2999-01-01T00:00:00+00:00",
        "0001-01-01T00:00:00+14:00",
    ),
    *("9999-12-31T23:59:59-14:00", "[]", "{}", "[1]", '[["__json_message"]]', "../../etc/passwd"),
    *([], [None], [[]], [0, 1], ["", None], ["x", None], [{}], {}, {"a": {}}, {"": None}, NESTED),
]

values = st.one_of(
    st.sampled_from(NOTORIOUS), st.integers(), st.floats(), st.text(st.characters(codec=None))
)


def mutated(valid: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Valid data with up to three changes."""
    return st.builds(mutation, valid, st.binary(min_size=1, max_size=3 * CHANGE))


# Bytes that describe one change: its kind, its place, its length, and bytes to insert.
CHANGE = 8


def mutation(text: bytes, changes: bytes) -> bytes:
    """Decode and apply the changes. Drawing them as one text takes a third of the time."""
    for start in range(0, len(changes), CHANGE):
        kind, high, low, length, *inserted = changes[start : start + CHANGE].ljust(4, b"\0")
        place = (high * 256 + low) % (len(text) + 1)
        before, after = text[:place], text[place:]
        match kind % 6:
            case 0:
                text = before
            case 1:
                text = after
            case 2:
                text = before + bytes(byte ^ 1 << length % 8 for byte in after[:1]) + after[1:]
            case 3:
                text = before + bytes(inserted) + after
            case 4:
                text = before + after[length % 20 + 1 :]
            case _:
                text = before + after[: length % 20] * 2 + after[length % 20 :]
    return text


def near(key: str) -> st.SearchStrategy[str]:
    """Keys that differ from that one in a character, in case, or in length."""
    places = st.integers(0, len(key) - 1)
    return st.one_of(
        st.builds(
            lambda place, character: key[:place] + character + key[place + 1 :],
            places,
            st.sampled_from("abcxyz0189AZ-_:. %"),
        ),
        st.builds(lambda place: key[:place] + key[place:].upper(), places),
        st.builds(lambda place: key[: place + 1], places),
        st.builds(lambda place: key + key[: place + 1], places),
    )


def changed(session: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Sessions in which one or two entries have another value."""
    entries = st.tuples(st.sampled_from(sorted(session)), values)
    return st.builds(lambda *entries: session | dict(entries), entries) | st.builds(
        lambda *entries: session | dict(entries), entries, entries
    )


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def merged_json(session: dict[str, Any], other: dict[str, Any]) -> bytes:
    """One JSON object with the entries of both. Of a repeated name the last one counts."""
    return as_json(session)[:-1] + b"," + as_json(other)[1:]
