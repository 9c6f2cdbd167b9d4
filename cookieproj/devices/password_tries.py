"""Slows down those who guess the password of a user whose session they have.

The tries of a user are counted in Django's default cache, whichever session or address they come
from. A cache that several processes share counts all of them; one in a process's memory counts
those of the process, and DummyCache counts none.
"""

import math
import time
from hashlib import sha256
from typing import Any

from django.core.cache import cache

# After so many wrong passwords, the user waits before each further try.
FREE_TRIES = 3
# Seconds. The pause doubles with each try.
FIRST_PAUSE = 5
LONGEST_PAUSE = 15 * 60
# Seconds after which tries no longer count.
REMEMBERED = 24 * 60 * 60


def begin_try(user: Any) -> int:
    """Count a try. Return 0 if the password may be checked, or the seconds to wait until then.

    Tries are counted before they are made, so those made at once are no way around a pause. A try
    during a pause is not counted. Raises the error of a cache that does not answer.
    """
    if seconds := seconds_to_wait(user):
        return seconds
    cache.add(count_key(user), 0, REMEMBERED)
    try:
        number = cache.incr(count_key(user))
    except ValueError:
        # A cache that stores nothing.
        return 0
    # Django's incr() gives a key of some caches their own timeout.
    cache.touch(count_key(user), REMEMBERED)
    if number < FREE_TRIES:
        return 0
    pause = min(FIRST_PAUSE * 2 ** (number - FREE_TRIES), LONGEST_PAUSE)
    if cache.add(pause_key(user), time.time() + pause, pause):
        return 0
    # A try at the same time has begun the pause.
    cache.decr(count_key(user))
    return seconds_to_wait(user) or 1


def seconds_to_wait(user: Any) -> int:
    until: float = cache.get(pause_key(user), 0)
    return max(0, math.ceil(until - time.time()))


def forget_tries(user: Any) -> None:
    cache.delete_many([count_key(user), pause_key(user)])


def count_key(user: Any) -> str:
    return f"cookieproj_devices.tries.{sha256(str(user.pk).encode()).hexdigest()}"


def pause_key(user: Any) -> str:
    return f"{count_key(user)}.pause"
