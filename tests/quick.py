"""The settings of the environment's profile, with a fast password hasher."""

import os
from importlib import import_module

from cookieproj.profiles import settings_module

globals().update(vars(import_module(settings_module(os.environ.get("SESSION_PROFILE", "db")))))

PASSWORD_HASHERS = ["tests.hashing.QuickHasher"]
