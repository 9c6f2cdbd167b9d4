"""A user signs out while the cache of cached_db is unreachable, and the cache keeps its copy.

``tests/engines/test_cache_outage.py`` tests the process that deletes the copy later. Here the site
is restarted, so no process knows of the copy.
"""

from tests.fault_table import Tally, Whose
from tests.servers import StoppableRedis

from .conftest import Variables
from .threaded_server import threaded
from .visitors import Crowd

VISITORS = 6

# Requests with a copied cookie.
TRIES = 5


def test_outdated_cache_serves_copied_cookie_at_most_once(
    whose: Whose, redis: StoppableRedis, variables: Variables, tally: Tally
) -> None:
    """A request that is served from the cache finds no row, and deletes the copy."""
    environment = variables("cached_db", redis=redis.url)
    with threaded(**environment) as site:
        crowd = Crowd([site] * VISITORS)
        copied = [dict(visitor.browser.cookies) for visitor in crowd.visitors]
        redis.kill()
        assert not redis.answers()
        for visitor in crowd.visitors:
            visitor.sign_out()
            assert whose == "Django's" or not visitor.is_signed_in()
    redis.start()
    with threaded(**environment) as site:
        opened = 0
        for visitor, cookies in zip(crowd.visitors, copied, strict=True):
            visitor.browser.site = site
            results = []
            for _ in range(TRIES):
                visitor.browser.cookies.update(cookies)
                results.append(visitor.is_signed_in())
            opened += any(results[1:])
    what = "Signed out while Redis was unreachable, cached_db: a copied cookie"
    tally(what, whose, VISITORS, opened)
    if whose == "ours":
        assert opened == 0
