"""Which of a store's methods are a site's own: docs/subclassing.md lists those that may be.

The engines take shorter ways than Django's to the same end. Where a subclass overrides a method
that Django's way goes through, they go that way as well.
"""

import copy
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from django.core import signing

from .merge import Data
from .validation import decode_valid

# Classes of ours and of Django's override each other's methods: those are no hooks.
OUR_MODULES = (f"{__package__}.", "django.")


def is_ours_or_djangos(owner: type) -> bool:
    return owner.__module__.startswith(OUR_MODULES)


@cache
def overrides(kind: type, *names: str) -> bool:
    """Whether a class that is neither ours nor Django's gives it one of these methods."""
    owners = [owner for owner in kind.__mro__ if not is_ours_or_djangos(owner)]
    return any(name in vars(owner) for owner in owners for name in names)


def serialized_form(session: Any, data: Data) -> Data:
    """The data as that session would read it after its serializer has written it."""
    kind: type = type(session)
    if overrides(kind, "encode", "decode"):
        return session.decode(session.encode(data))  # type: ignore[no-any-return]
    serializer = session.serializer()
    return serializer.loads(serializer.dumps(data))  # type: ignore[no-any-return]


def decoder(session: Any, key: str, text: str) -> Callable[[], Data]:
    """What decodes the text that is stored under that key; it does not hold the session.

    Else a session, which holds what it was made from, would hold itself. A ``decode`` of a
    subclass, which may go by the key, is asked at once for that reason.
    """
    kind: type = type(session)
    if overrides(kind, "decode"):
        return partial(copy.deepcopy, session._session_with_key(key).decode(text))
    return partial(decode_or_empty, signed_loads(session), text)


def signed_loads(session: Any) -> Callable[[str], Any]:
    """What reads a text that Django's engines sign. Raises whatever for another."""
    return partial(signing.loads, salt=session.key_salt, serializer=session.serializer)


def decode_or_empty(loads: Callable[[str], Any], text: str) -> Data:
    """Empty, with a line in the log, for what is no session: Django logs a wrong signature.

    By that answer a session that nobody can read keeps its key, and so ends with a sign-out.
    """
    return decode_valid(loads, text) or {}


def can_decode(session: Any, text: str) -> bool:
    """Whether that is a session; of one that says it is empty this looks closer."""
    kind: type = type(session)
    if session.decode(text) or overrides(kind, "decode"):
        return True
    return decode_valid(signed_loads(session), text) is not None
