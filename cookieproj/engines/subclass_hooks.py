"""Which methods a site's subclass overrides; docs/subclassing.md lists those that it may override.

The engines take shorter ways than Django's to the same result. If a subclass overrides a method on
Django's way, they take that way as well.
"""

import copy
from collections.abc import Callable
from functools import lru_cache, partial
from operator import is_
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.core import signing

from .entries import Entry
from .merge import Data, same_data
from .quick_settings import setting
from .signatures import SignedContent, dumps, loads, sign
from .validation import decode_valid

# Our classes and Django's override each other's methods. Those overrides are no hooks of a site.
OUR_MODULES = (f"{__package__}.", "django.")

# The setting of a site that has no signer of its own.
DJANGOS_SIGNING_BACKEND = "django.core.signing.TimestampSigner"


def is_djangos_own(definition: Any) -> bool:
    """Whether the function or class is Django's, neither replaced nor wrapped by a patch."""
    return definition.__module__.startswith("django.") and not hasattr(definition, "__wrapped__")


# What Django's engines sign and serialize with. Packages replace some of it.
SIGNING_FUNCTIONS: list[tuple[Any, str]] = [
    *((signing, name) for name in ("dumps", "loads", "b64_encode", "b64_decode", "salted_hmac")),
    *((signing.Signer, name) for name in ("sign", "unsign", "signature")),
    *((signing.Signer, name) for name in ("sign_object", "unsign_object")),
    *((signing.TimestampSigner, name) for name in ("sign", "unsign", "timestamp")),
    *((signing.JSONSerializer, name) for name in ("dumps", "loads")),
    *((SessionBase, name) for name in ("encode", "decode")),
    *((signing, name) for name in ("Signer", "TimestampSigner", "JSONSerializer")),
]
PLACES = [place for place, _name in SIGNING_FUNCTIONS]
NAMES = [name for _place, name in SIGNING_FUNCTIONS]
# None stands for what was replaced before this was imported.
DJANGOS_OWN = [
    own if is_djangos_own(own := getattr(place, name)) else None
    for place, name in SIGNING_FUNCTIONS
]


def is_ours_or_djangos(class_: type) -> bool:
    """Whether the class is defined in this package or in Django."""
    return class_.__module__.startswith(OUR_MODULES)


# Bounded: a trial of an engine makes a class of its own, which must not stay in memory for good.
@lru_cache(maxsize=256)
def overrides(kind: type, *names: str) -> bool:
    """Whether a site's class, neither ours nor Django's, defines one of these methods for it."""
    site_classes = [class_ for class_ in kind.__mro__ if not is_ours_or_djangos(class_)]
    return any(name in vars(class_) for class_ in site_classes for name in names)


def signs_like_django(session: Any) -> bool:
    """Whether the session's texts are signed and verified by ``signatures``, not by Django.

    They are if no class of the site overrides ``encode`` or ``decode``, the serializer is Django's
    JSON serializer, there is a salt, SIGNING_BACKEND names no other signer, and nothing has
    replaced a function of Django's that signs, serializes or encodes.
    """
    class_: type = type(session)
    return (
        session.serializer is signing.JSONSerializer
        and bool(session.key_salt)
        and not overrides(class_, "encode", "decode")
        and setting("SIGNING_BACKEND") == DJANGOS_SIGNING_BACKEND
        # By identity: the wrappers of wrapt equal what they wrap.
        and all(map(is_, map(getattr, PLACES, NAMES), DJANGOS_OWN))
    )


def serialized_form(session: Any, data: Data) -> Data:
    """Return the data as that session would read it after serializing it."""
    class_: type = type(session)
    if overrides(class_, "encode", "decode"):
        return session.decode(session.encode(data))  # type: ignore[no-any-return]
    serializer = session.serializer()
    return serializer.loads(serializer.dumps(data))  # type: ignore[no-any-return]


def is_stored(session: Any, old: Entry, data: Data) -> bool:
    """Whether that entry of the session's store is that data already, in any order.

    The serialized texts are compared, and decoded only if they may differ in order alone.
    """
    content = old.content
    if not (isinstance(content, SignedContent) and content.keys):
        return same_data(old.data or {}, serialized_form(session, data))
    serialized = dumps(data)
    if serialized == content.serialized:
        return True
    if len(serialized) != len(content.serialized) or tuple(data) == content.keys:
        return False
    return same_data(old.data or {}, loads(serialized))


def decoder(session: Any, key: str, text: str) -> Callable[[], Data]:
    """Return a function that decodes the text stored under that key.

    It has no reference to the session. A session refers to its base, and so to this function: a
    reference back would be a cycle. A subclass's own ``decode`` needs the session, as it may use
    the key, so it is called at once.
    """
    class_: type = type(session)
    if overrides(class_, "decode"):
        return partial(copy.deepcopy, session._session_with_key(key).decode(text))
    return signed_content(session, text)


def encode(session: Any, key: str, data: Data) -> tuple[str, Callable[[], Data]]:
    """Return the data as that session stores it under that key, and the text's ``decoder``."""
    if signs_like_django(session):
        text = sign(dumps(data), session.key_salt)
        return text, SignedContent(text, session.key_salt)
    text = session._session_with_key(key).encode(data)
    return text, decoder(session, key, text)


def signed_content(session: Any, text: str) -> Callable[[], Data]:
    """Return a function that decodes the text as ``decode`` does, without a subclass's override."""
    if signs_like_django(session):
        return SignedContent(text, session.key_salt)
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
