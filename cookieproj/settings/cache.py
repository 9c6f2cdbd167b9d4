from .base import *

SESSION_ENGINE = session_engine("cache")
