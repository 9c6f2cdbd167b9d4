"""The profile cache: sessions in the cache."""

from .base import *

SESSION_ENGINE = session_engine("cache")
