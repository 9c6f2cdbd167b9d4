"""The profile db: sessions in the database."""

from .base import *

SESSION_ENGINE = session_engine("db")
