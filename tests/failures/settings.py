"""A site that is to meet a fault: any engine with its own middleware, and what saves time.

No TLS stands before it, and passwords are checked quickly.
"""

import os

from cookieproj.settings.cached_db import *  # noqa: F403
from cookieproj.settings.cached_db import MIDDLEWARE, SESSION_ENGINE
from tests.families import beside

PASSWORD_HASHERS = ["tests.hashing.QuickHasher"]
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = False
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "sessionid", "csrftoken"

# Each process may be in one of its own.
TIME_ZONE = os.environ.get("TZ", "UTC")

MIDDLEWARE = beside(SESSION_ENGINE, MIDDLEWARE)
