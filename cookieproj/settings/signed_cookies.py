from .base import *

SESSION_ENGINE = session_engine("signed_cookies")
