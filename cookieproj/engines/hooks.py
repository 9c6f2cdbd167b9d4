"""Which of a store's methods are a site's own: docs/subclassing.md lists those that may be.

The engines take shorter ways than Django's to the same end. Where a subclass overrides a method
that Django's way goes through, they go that way as well.
"""

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


def decoded(session: Any, text: str) -> Data | None:
    """The data in what ``encode`` made; None, with a line in the log, for what is no session.

    A subclass that has a ``decode`` of its own says of such a thing that it is empty.
    """
    kind: type = type(session)
    if overrides(kind, "decode"):
        return session.decode(text)  # type: ignore[no-any-return]
    loads = partial(signing.loads, salt=session.key_salt, serializer=session.serializer)
    return checked(loads, text)
