"""Copies of sessions that were made ahead of time: the original counts, while there is one."""

import json
from typing import Any

from django.utils.crypto import salted_hmac

from cookieproj.engines.language import in_english
from cookieproj.engines.merge import Data
from cookieproj.engines.stored import Stored

# In the data of a copy: what it was made of, and from which store.
COPY = "_session_copy"


def marked(data: Data, old: Any) -> Data:
    """The data as a copy of what that engine holds."""
    bare = unmarked(data)
    return bare | {COPY: digest(bare, old)}


def unmarked(data: Data) -> Data:
    return {key: value for key, value in data.items() if key != COPY}


def is_copy(stored: Stored, old: Any) -> bool:
    """Whether it is one from there, as it was made: what has been changed is a session itself."""
    data = stored.data or {}
    return COPY in data and data[COPY] == digest(unmarked(data), old)


def digest(data: Data, old: Any) -> str:
    text = json.dumps([in_english(old._place()), data], sort_keys=True, default=repr)
    made = salted_hmac("cookieproj.engines.handover.copies", text, algorithm="sha256")
    return made.hexdigest()[:16]
