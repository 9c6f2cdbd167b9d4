"""The profile cached_db: sessions in the database, with copies in the cache."""

from .base import *

SESSION_ENGINE = session_engine("cached_db")
