"""The steps from stored bytes to a session agree with Django, and never fail on other bytes."""

import json
import pickle
import zlib
from typing import Any

import pytest
from django.core import signing
from hypothesis import given
from hypothesis import strategies as st

from cookieproj.engines.constants import COOKIE_SALT, STORE_SALT
from cookieproj.engines.signed_cookies import SessionStore
from demo.decoding import MAX_DECOMPRESSED_BYTES, Step, decoding_steps

LARGE = {"text": "cookie " * 1000}


def titles(found: list[Step]) -> list[str]:
    return [step.title for step in found]


def changed(text: str, place: int) -> str:
    other = "A" if text[place] != "A" else "B"
    return text[:place] + other + text[place + 1 :]


def signed(data: Any) -> str:
    return signing.dumps(data, salt=COOKIE_SALT, compress=True)


def test_a_signed_text_is_checked_and_read() -> None:
    found = list(decoding_steps(signed({"color": "blau, 你好"}).encode()))
    assert titles(found) == [
        "Split at the colons",
        "Check the signature",
        "Decode base64",
        "Parse JSON",
    ]
    assert [step.is_valid for step in found] == [True] * 4
    assert json.loads(found[-1].outcome) == {"color": "blau, 你好"}


def test_a_compressed_one_takes_a_step_more() -> None:
    text = signed(LARGE)
    found = list(decoding_steps(text.encode()))
    assert titles(found)[3] == "Decompress with zlib"
    packed = signing.b64_decode(text[1:].partition(":")[0].encode())
    sizes = f"from {len(zlib.decompress(packed))} bytes to {len(packed)}"
    assert found[3].text.endswith(f"{sizes}.")
    assert json.loads(found[-1].outcome) == LARGE


def test_what_is_signed_for_one_place_does_not_hold_in_another() -> None:
    row = SessionStore().encode({"a": 1}).encode()
    assert list(decoding_steps(row, salt=STORE_SALT))[1].is_valid
    assert not list(decoding_steps(row))[1].is_valid
    assert not list(decoding_steps(signed({"a": 1}).encode(), salt=STORE_SALT))[1].is_valid


@pytest.mark.parametrize("part", [0, 1, 2], ids=["data", "moment", "signature"])
def test_whichever_part_is_changed_the_signature_does_not_hold(part: int) -> None:
    parts = signed({"color": "blue"}).split(":")
    parts[part] = changed(parts[part], 3)
    found = list(decoding_steps(":".join(parts).encode()))
    assert not found[1].is_valid
    assert found[1].outcome == "The signature is not valid: to Django this is an empty session."


def test_of_another_site_it_is_read_and_does_not_hold() -> None:
    text = signing.dumps({"color": "blue"}, key="another", salt=COOKIE_SALT)
    found = list(decoding_steps(text.encode()))
    assert not found[1].is_valid
    assert json.loads(found[-1].outcome) == {"color": "blue"}


def test_plain_json_is_read_in_one_step() -> None:
    assert titles(list(decoding_steps(b'{"a": 1}'))) == ["Parse JSON"]


def test_a_pickle_is_not_opened_here() -> None:
    class Planted:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("it was opened",))

    [step] = decoding_steps(pickle.dumps(Planted()), {"a": 1})
    assert json.loads(step.outcome) == {"a": 1}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "This is not JSON."),
        (b"\xff\xfe", "This is not JSON."),
        (b"A:1:x", "This is not base64."),
        (b".QUJD:1:x", "zlib cannot decompress this."),
        (b"QUJD:zzzzzzzzzzzzzzzz:x", "The time of signing is not valid."),
        (b"[" * 50_000, "This is not JSON."),
    ],
)
def test_what_cannot_be_read_is_told(payload: bytes, reason: str) -> None:
    last = list(decoding_steps(payload))[-1]
    assert (last.title, last.text, last.is_valid) == ("It cannot be read", reason, False)


def test_little_that_unpacks_to_much_is_not_unpacked_whole() -> None:
    bomb = zlib.compress(b"x" * 50 * MAX_DECOMPRESSED_BYTES)
    found = list(decoding_steps(b"." + signing.b64_encode(bomb) + b":1:x"))
    assert found[-1].text == "The data ends too early, or decompresses to more than a megabyte."
    # What could be read before that stands.
    assert titles(found)[-2] == "Decode base64"


def test_what_is_cut_off_is_told() -> None:
    cut = zlib.compress(json.dumps(LARGE).encode())[:-4]
    found = list(decoding_steps(b"." + signing.b64_encode(cut) + b":1:x"))
    assert not found[-1].is_valid


@given(st.binary() | st.from_regex(r"\A\.?[\w-]*:\w+:[\w-]+\Z").map(str.encode))
def test_no_bytes_make_it_fail(payload: bytes) -> None:
    assert list(decoding_steps(payload))
