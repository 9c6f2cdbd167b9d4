from .base import *

SESSION_ENGINE = session_engine("cache")
SESSION_CACHE_ALIAS = "sessions"
