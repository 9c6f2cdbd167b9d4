"""The steps that decode stored bytes agree with Django, and fail on no input."""

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


def titles(steps: list[Step]) -> list[str]:
    return [step.title for step in steps]


def changed(text: str, index: int) -> str:
    replacement = "A" if text[index] != "A" else "B"
    return text[:index] + replacement + text[index + 1 :]


def signed(data: Any) -> str:
    return signing.dumps(data, salt=COOKIE_SALT, compress=True)


def test_signed_payload_is_verified_and_decoded() -> None:
    steps = list(decoding_steps(signed({"color": "blau, 你好"}).encode()))
    assert titles(steps) == [
        "Split at the colons",
        "Check the signature",
        "Decode base64",
        "Parse JSON",
    ]
    assert [step.is_valid for step in steps] == [True] * 4
    assert json.loads(steps[-1].outcome) == {"color": "blau, 你好"}


def test_compressed_payload_is_decompressed() -> None:
    text = signed(LARGE)
    steps = list(decoding_steps(text.encode()))
    assert titles(steps)[3] == "Decompress with zlib"
    compressed = signing.b64_decode(text[1:].partition(":")[0].encode())
    sizes = f"from {len(zlib.decompress(compressed))} bytes to {len(compressed)}"
    assert steps[3].text.endswith(f"{sizes}.")
    assert json.loads(steps[-1].outcome) == LARGE


def test_signature_is_valid_for_its_salt_only() -> None:
    row = SessionStore().encode({"a": 1}).encode()
    assert list(decoding_steps(row, salt=STORE_SALT))[1].is_valid
    assert not list(decoding_steps(row))[1].is_valid
    assert not list(decoding_steps(signed({"a": 1}).encode(), salt=STORE_SALT))[1].is_valid


@pytest.mark.parametrize("part", [0, 1, 2], ids=["data", "timestamp", "signature"])
def test_changing_any_part_invalidates_signature(part: int) -> None:
    parts = signed({"color": "blue"}).split(":")
    parts[part] = changed(parts[part], 3)
    steps = list(decoding_steps(":".join(parts).encode()))
    assert not steps[1].is_valid
    assert steps[1].outcome == "The signature is not valid: to Django this is an empty session."


def test_payload_of_another_site_is_decoded_as_invalid() -> None:
    text = signing.dumps({"color": "blue"}, key="another", salt=COOKIE_SALT)
    steps = list(decoding_steps(text.encode()))
    assert not steps[1].is_valid
    assert json.loads(steps[-1].outcome) == {"color": "blue"}


def test_plain_json_is_read_in_one_step() -> None:
    assert titles(list(decoding_steps(b'{"a": 1}'))) == ["Parse JSON"]


def test_pickle_is_not_unpickled() -> None:
    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("it was unpickled",))

    [step] = decoding_steps(pickle.dumps(Malicious()), {"a": 1})
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
def test_invalid_payload_shows_reason(payload: bytes, reason: str) -> None:
    last = list(decoding_steps(payload))[-1]
    assert (last.title, last.text, last.is_valid) == ("It cannot be read", reason, False)


def test_decompressed_size_is_limited() -> None:
    bomb = zlib.compress(b"x" * 50 * MAX_DECOMPRESSED_BYTES)
    steps = list(decoding_steps(b"." + signing.b64_encode(bomb) + b":1:x"))
    assert steps[-1].text == "The data ends too early, or decompresses to more than a megabyte."
    # The steps before it stay.
    assert titles(steps)[-2] == "Decode base64"


def test_truncated_payload_is_invalid() -> None:
    truncated = zlib.compress(json.dumps(LARGE).encode())[:-4]
    steps = list(decoding_steps(b"." + signing.b64_encode(truncated) + b":1:x"))
    assert not steps[-1].is_valid


@given(st.binary() | st.from_regex(r"\A\.?[\w-]*:\w+:[\w-]+\Z").map(str.encode))
def test_any_bytes_are_decoded_without_error(payload: bytes) -> None:
    assert list(decoding_steps(payload))
