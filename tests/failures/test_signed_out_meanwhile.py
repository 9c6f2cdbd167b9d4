"""Somebody signs out while the Redis before the database is away; it comes back with its copy."""

from contextlib import ExitStack

import pytest

from tests.held import Held, Whose
from tests.servers import StoppableRedis

from .conftest import Variables
from .threaded import threaded
from .visitors import Crowd

VISITORS = 6

# Requests with a copied cookie, each to whichever worker takes it. The one that owes it to Redis
# ends the copy as it gets its next one; one that is new to the session serves it once.
TRIES = 20


@pytest.mark.parametrize("restarts", [False, True], ids=["the same site", "started anew"])
def test_a_copied_cookie_opens_nothing_for_long(
    restarts: bool, whose: Whose, redis: StoppableRedis, variables: Variables, held: Held
) -> None:
    served = variables("cached_db", redis=redis.url)
    with ExitStack() as first:
        site = first.enter_context(threaded(**served))
        crowd = Crowd([site] * VISITORS)
        copied = [dict(visitor.browser.cookies) for visitor in crowd.visitors]
        redis.kill()
        for visitor in crowd.visitors:
            visitor.sign_out()
            assert whose == "Django's" or not visitor.is_signed_in()
        if restarts:
            first.close()
            site = first.enter_context(threaded(**served))
        redis.start()
        opened = 0
        for visitor, cookies in zip(crowd.visitors, copied, strict=True):
            visitor.browser.site = site
            visitor.browser.headers["Connection"] = "close"
            found = []
            for _ in range(TRIES):
                visitor.browser.cookies.update(cookies)
                found.append(visitor.is_signed_in())
            opened += any(found[TRIES // 2 :])
    held("Signed out while Redis was away, cached_db: a copied cookie", whose, VISITORS, opened)
    if whose == "ours":
        assert opened == 0
