"""What earlier versions left in copies and cookies, and what is still out in the world.

Both are HMACs with the SECRET_KEY of then over the sentence by which the store was called.
"""

import json
from collections.abc import Iterator

from django.conf import settings
from django.utils.crypto import salted_hmac

from cookieproj.engines.constants import HANDOVER_LABEL, OLD_COPY_LABEL
from cookieproj.engines.english import in_english
from cookieproj.engines.merge import Data
from cookieproj.engines.store import Store

# Hexadecimal digits of the two, by which they are known.
MARK, NAME = 16, 8


def is_old_copy_mark(found: str, data: Data, old: Store) -> bool:
    """Whether it marks that data as a copy from that store."""
    if len(found) != MARK:
        return False
    try:
        text = json.dumps([in_english(old.label), data], sort_keys=True, default=repr)
    except (TypeError, ValueError, RecursionError):
        # Of such data none was made.
        return False
    return found in old_digests(OLD_COPY_LABEL, text, MARK)


def is_old_store_name(found: str, store: Store) -> bool:
    """Whether it stands for that store."""
    if len(found) != NAME:
        return False
    return found in old_digests(HANDOVER_LABEL, in_english(store.label), NAME)


def old_digests(salt: str, text: str, length: int) -> Iterator[str]:
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        yield salted_hmac(salt, text, secret=secret, algorithm="sha256").hexdigest()[:length]
