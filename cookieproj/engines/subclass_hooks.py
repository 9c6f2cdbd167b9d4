"""Which methods a site's subclass overrides; docs/subclassing.md lists those that it may override.

The engines take shorter ways than Django's to the same result. If a subclass overrides a method on
Django's way, they take that way as well.
"""

import copy
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from django.core import signing

from .merge import Data
from .validation import decode_valid

# Our classes and Django's override each other's methods. Those overrides are no hooks of a site.
OUR_MODULES = (f"{__package__}.", "django.")


def is_ours_or_djangos(class_: type) -> bool:
    """Whether the class is defined in this package or in Django."""
    return class_.__module__.startswith(OUR_MODULES)


@cache
def overrides(kind: type, *names: str) -> bool:
    """Whether a site's class, neither ours nor Django's, defines one of these methods for it."""
    site_classes = [class_ for class_ in kind.__mro__ if not is_ours_or_djangos(class_)]
    return any(name in vars(class_) for class_ in site_classes for name in names)


def serialized_form(session: Any, data: Data) -> Data:
    """Return the data as that session would read it after serializing it."""
    class_: type = type(session)
    if overrides(class_, "encode", "decode"):
        return session.decode(session.encode(data))  # type: ignore[no-any-return]
    serializer = session.serializer()
    return serializer.loads(serializer.dumps(data))  # type: ignore[no-any-return]


def decoder(session: Any, key: str, text: str) -> Callable[[], Data]:
    """Return a function that decodes the text stored under that key.

    It has no reference to the session. A session refers to its base, and so to this function: a
    reference back would be a cycle. A subclass's own ``decode`` needs the session, as it may use
    the key, so it is called at once.
    """
    class_: type = type(session)
    if overrides(class_, "decode"):
        return partial(copy.deepcopy, session._session_with_key(key).decode(text))
    return partial(decode_or_empty, signed_loads(session), text)


def signed_loads(session: Any) -> Callable[[str], Any]:
    """Return the function that reads a text signed by Django's engines.

    It raises any error for other texts.
    """
    return partial(signing.loads, salt=session.key_salt, serializer=session.serializer)


def decode_or_empty(loads: Callable[[str], Any], text: str) -> Data:
    """Return the data; {} with a line in the log if the text is no session.

    Django logs a wrong signature. Because of the {}, a session that cannot be read keeps its key,
    and so a sign-out deletes it.
    """
    return decode_valid(loads, text) or {}


def can_decode(session: Any, text: str) -> bool:
    """Whether the text is a session. If it decodes to no data, it is checked more closely."""
    class_: type = type(session)
    if session.decode(text) or overrides(class_, "decode"):
        return True
    return decode_valid(signed_loads(session), text) is not None
