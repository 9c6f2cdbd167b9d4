"""The settings of the profile that the environment names, but for how passwords are hashed."""

import os
from importlib import import_module

from cookieproj.profiles import settings_module

globals().update(vars(import_module(settings_module(os.environ.get("SESSION_PROFILE", "db")))))

PASSWORD_HASHERS = ["tests.hashing.QuickHasher"]
