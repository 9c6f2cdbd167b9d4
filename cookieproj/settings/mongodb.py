"""The profile mongodb: sessions in MongoDB. The other tables stay in DATABASE_URL."""

from .base import *

SESSION_ENGINE = session_engine("mongodb")
