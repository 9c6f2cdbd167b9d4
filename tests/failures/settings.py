"""Settings of a site for tests of failures: any engine, with the middleware that belongs to it.

It is served without TLS, and checks passwords quickly.
"""

import os

from cookieproj.settings.cached_db import *  # noqa: F403
from cookieproj.settings.cached_db import MIDDLEWARE, SESSION_ENGINE
from tests.families import beside

PASSWORD_HASHERS = ["tests.hashing.QuickHasher"]
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = False
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "sessionid", "csrftoken"

# Each server may have another time zone.
TIME_ZONE = os.environ.get("TZ", "UTC")

MIDDLEWARE = beside(SESSION_ENGINE, MIDDLEWARE)
