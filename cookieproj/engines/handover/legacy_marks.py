"""Copy marks and store names in the form of earlier versions, which are still in use.

Both are an HMAC of the store's ``label``, with the SECRET_KEY of the time.
"""

import json
from collections.abc import Iterator

from django.conf import settings
from django.utils.crypto import salted_hmac

from cookieproj.engines.constants import HANDOVER_LABEL, OLD_COPY_LABEL
from cookieproj.engines.english import in_english
from cookieproj.engines.merge import Data
from cookieproj.engines.store import Store

# Hexadecimal digits. The new forms are longer.
COPY_MARK_LENGTH, STORE_NAME_LENGTH = 16, 8


def is_legacy_copy_mark(mark: str, data: Data, old: Store) -> bool:
    """Whether the mark says that this data is a copy of a session in ``old``."""
    if len(mark) != COPY_MARK_LENGTH:
        return False
    try:
        text = json.dumps([in_english(old.label), data], sort_keys=True, default=repr)
    except (TypeError, ValueError, RecursionError):
        # Earlier versions could not copy such data.
        return False
    return mark in legacy_digests(OLD_COPY_LABEL, text, COPY_MARK_LENGTH)


def is_legacy_store_name(name: str, store: Store) -> bool:
    """Whether an earlier version called that store by this name."""
    if len(name) != STORE_NAME_LENGTH:
        return False
    return name in legacy_digests(HANDOVER_LABEL, in_english(store.label), STORE_NAME_LENGTH)


def legacy_digests(salt: str, text: str, length: int) -> Iterator[str]:
    """Yield the digest that each secret key of the site makes of the text."""
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        yield salted_hmac(salt, text, secret=secret, algorithm="sha256").hexdigest()[:length]
