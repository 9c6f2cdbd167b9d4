"""Which of a store's methods are a site's own: docs/subclassing.md lists those that may be.

The engines take shorter ways than Django's to the same end. Where a subclass overrides a method
that Django's way goes through, they go that way as well.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

from django.core import signing

from .merge import Data
from .sound import checked

# Classes of ours and of Django's override each other's methods: those are no hooks.
KNOWN = (f"{__package__}.", "django.")


def is_known(owner: type) -> bool:
    return owner.__module__.startswith(KNOWN)


@cache
def overrides(kind: type, *names: str) -> bool:
    """Whether a class that is neither ours nor Django's gives it one of these methods."""
    owners = [owner for owner in kind.__mro__ if not is_known(owner)]
    return any(name in vars(owner) for owner in owners for name in names)


def form_of(session: Any, data: Data) -> Data:
    """The data as that session would read it after its serializer has written it."""
    kind: type = type(session)
    if overrides(kind, "encode", "decode"):
        return session.decode(session.encode(data))  # type: ignore[no-any-return]
    serializer = session.serializer()
    return serializer.loads(serializer.dumps(data))  # type: ignore[no-any-return]


def decoder(session: Any, key: str, text: str) -> Callable[[], Data]:
    """What decodes the text that is stored under that key; of what is no session it makes {}.

    That is Django's answer, by which a session that nobody can read keeps its key, and so ends with
    a sign-out. A ``decode`` of a subclass may go by the key.
    """
    kind: type = type(session)
    owner = session._at(key) if overrides(kind, "decode") else session
    return partial(owner.decode, text)


def can_decode(session: Any, text: str) -> bool:
    """Whether that is a session; of one that says it is empty this looks closer."""
    kind: type = type(session)
    if session.decode(text) or overrides(kind, "decode"):
        return True
    loads = partial(signing.loads, salt=session.key_salt, serializer=session.serializer)
    return checked(loads, text) is not None
