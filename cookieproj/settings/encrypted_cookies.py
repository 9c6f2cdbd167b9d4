from .base import *

SESSION_ENGINE = session_engine("encrypted_cookies")
