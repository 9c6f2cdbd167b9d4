"""Somebody signs out while the Redis before the database is away, which comes back with its copy.

The process that owes Redis the end of that copy ends it as it gets its next request: see
``test_redis_away``. Here the site has been started anew meanwhile, and nobody knows of it.
"""

from tests.fault_table import Held, Whose
from tests.servers import StoppableRedis

from .conftest import Variables
from .threaded_server import threaded
from .visitors import Crowd

VISITORS = 6

# Requests with a copied cookie.
TRIES = 5


def test_a_copied_cookie_opens_nothing_twice(
    whose: Whose, redis: StoppableRedis, variables: Variables, held: Held
) -> None:
    """Whoever serves the copy finds that there is no row, and ends it."""
    served = variables("cached_db", redis=redis.url)
    with threaded(**served) as site:
        crowd = Crowd([site] * VISITORS)
        copied = [dict(visitor.browser.cookies) for visitor in crowd.visitors]
        redis.kill()
        assert not redis.answers()
        for visitor in crowd.visitors:
            visitor.sign_out()
            assert whose == "Django's" or not visitor.is_signed_in()
    redis.start()
    with threaded(**served) as site:
        opened = 0
        for visitor, cookies in zip(crowd.visitors, copied, strict=True):
            visitor.browser.site = site
            found = []
            for _ in range(TRIES):
                visitor.browser.cookies.update(cookies)
                found.append(visitor.is_signed_in())
            opened += any(found[1:])
    held("Signed out while Redis was away, cached_db: a copied cookie", whose, VISITORS, opened)
    if whose == "ours":
        assert opened == 0
